package images

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"k8sbuild.dev/distribution/pkg/durable"
)

// note is what is known of a file that was imported.
type note struct {
	Size     int64    `json:"size"`
	Modified int64    `json:"modified"`
	Digest   string   `json:"sha256"`
	Images   []string `json:"images"`
}

// is says whether the file is still the one that the note is of.
func (n note) is(info fs.FileInfo) bool {
	return n.Size == info.Size() && n.Modified == info.ModTime().UnixNano()
}

// notes remember over restarts what was imported, by path.
type notes struct {
	file  string
	known map[string]note
}

// read reads the notes. Without them, or with damaged ones, all is imported again.
func (n *notes) read() error {
	n.known = map[string]note{}
	text, err := os.ReadFile(n.file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	if err := json.Unmarshal(text, &n.known); err != nil {
		n.known = map[string]note{}
		return fmt.Errorf("%s: %w", n.file, err)
	}
	return nil
}

func (n *notes) write() error {
	text, err := json.MarshalIndent(n.known, "", "  ")
	if err != nil {
		return err
	}
	return durable.Write(n.file, append(text, '\n'), 0o600)
}

// Package inspect makes an archive for those who are asked for help: what a
// server and its machine say of themselves, without secrets.
//
// It imports no Kubernetes package.
package inspect

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// item is a file of the archive.
type item struct {
	name string
	get  func(context.Context) (string, error)
}

// write writes an archive of all items, each redacted. What cannot be had is
// said in its file: most who ask for help have something that does not work.
func write(ctx context.Context, w io.Writer, folder string, at time.Time, redact func(string) string, items []item) error {
	packed := gzip.NewWriter(w)
	archive := tar.NewWriter(packed)
	for _, it := range items {
		text, err := it.get(ctx)
		if err != nil {
			text += fmt.Sprintf("\ncould not be had: %v\n", err)
		}
		if err := add(archive, folder+"/"+it.name, redact(text), at); err != nil {
			return err
		}
	}
	if err := errors.Join(archive.Close(), packed.Close()); err != nil {
		return fmt.Errorf("write the archive: %w", err)
	}
	return nil
}

func add(archive *tar.Writer, name, text string, at time.Time) error {
	header := &tar.Header{Name: name, Mode: 0o600, Size: int64(len(text)), ModTime: at, Typeflag: tar.TypeReg}
	if err := archive.WriteHeader(header); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if _, err := io.WriteString(archive, text); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

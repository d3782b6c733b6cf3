package install

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// sumsFile is the name of a file in the form of sha256sum.
const sumsFile = "SHA256SUMS"

// verify reads the sums in each of the folders, and compares those of their
// files that are to be installed. A folder without sums is not looked at.
func verify(folders, files []string) (compared int, err error) {
	for _, folder := range folders {
		sums, err := readSums(filepath.Join(folder, sumsFile))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return compared, err
		}
		for _, file := range files {
			name, err := filepath.Rel(folder, file)
			want, listed := sums[name]
			if err != nil || !listed {
				continue
			}
			if err := compare(file, want); err != nil {
				return compared, err
			}
			compared++
		}
	}
	return compared, nil
}

func compare(file, want string) error {
	got, err := digest(file)
	if err != nil {
		return err
	}
	if got != want {
		return fmt.Errorf("%s is not what was built: its sha256 is %s, and %s says %s; get it again", file, got, sumsFile, want)
	}
	return nil
}

// readSums are the digests by file name.
func readSums(path string) (map[string]string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	sums := map[string]string{}
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		sum, name, found := strings.Cut(strings.TrimSpace(line), " ")
		if sum == "" {
			continue
		}
		if raw, err := hex.DecodeString(sum); !found || err != nil || len(raw) != sha256.Size {
			return nil, fmt.Errorf("%s:%d: not a line of sha256sum", path, number)
		}
		// A star says that the file was read as it is.
		sums[strings.TrimPrefix(strings.TrimLeft(name, " "), "*")] = sum
	}
	return sums, nil
}

func digest(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

package images

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"

	"github.com/klauspost/compress/zstd"
	"golang.org/x/sys/unix"
)

// maxMemory bounds what a file may ask for to be unpacked.
const maxMemory = 256 << 20

// archive is an open file of images: reading gives its tar.
type archive struct {
	io.Reader
	file   *os.File
	raw    *bufio.Reader // the file as it is
	packed hash.Hash
	close  func()
}

// open opens a file with images. room is how many bytes its tar may have: what
// is packed well enough fills any disk.
func open(path string, room int64) (*archive, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	a := &archive{file: file, packed: sha256.New(), close: func() {}}
	a.raw = bufio.NewReaderSize(io.TeeReader(file, a.packed), 1<<20)
	unpacked, err := a.unpack(a.raw)
	if err != nil {
		file.Close()
		return nil, err
	}
	a.Reader = &limited{unpacked, room}
	return a, nil
}

// unpack finds out by a file's first bytes how it is packed; its name may lie.
func (a *archive) unpack(file *bufio.Reader) (io.Reader, error) {
	head, _ := file.Peek(4)
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		return gzip.NewReader(file)
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(file, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxMemory))
		if err == nil {
			a.close = z.Close
		}
		return z, err
	}
	return file, nil
}

// Digest is the sha256 of the file, of which the rest is read.
func (a *archive) Digest() (string, error) {
	if _, err := io.Copy(io.Discard, a.raw); err != nil {
		return "", err
	}
	return hex.EncodeToString(a.packed.Sum(nil)), nil
}

// Close closes the file.
func (a *archive) Close() error {
	a.close()
	return a.file.Close()
}

var errTooLarge = errors.New("it has more than the disk has room for")

// limited reads up to so many bytes; more of them are an error.
type limited struct {
	from io.Reader
	left int64
}

func (l *limited) Read(p []byte) (int, error) {
	n, err := l.from.Read(p)
	if l.left -= int64(n); l.left < 0 {
		return 0, errTooLarge
	}
	return n, err
}

// room is how many bytes of images the disk below dir has room for: the blobs
// and what is unpacked of them, with a tenth left.
func room(dir string) (int64, error) {
	var disk unix.Statfs_t
	if err := unix.Statfs(dir, &disk); err != nil {
		return 0, fmt.Errorf("ask for the room in %s: %w", dir, err)
	}
	return int64(disk.Bavail) * disk.Bsize / 20 * 9, nil
}

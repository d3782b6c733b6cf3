package kine

import (
	"bytes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/chacha20poly1305"
	"golang.org/x/crypto/scrypt"
)

// A sealed file is sealMagic, a salt, and chunks of ChaCha20-Poly1305 under a key
// that scrypt makes of passphrase and salt, so a key of this file alone. The nonce
// counts the chunks, and its last byte marks the last one: a chunk that is
// missing, moved or cut off does not open. This is the STREAM construction of
// Hoang, Reyhanitabar, Rogaway and Vizár.
const (
	sealMagic = "k8s-sealed-1\n"
	saltSize  = 16
	chunkSize = 64 * 1024
	// A guess costs 128 MiB of memory.
	scryptN, scryptR, scryptP = 1 << 17, 8, 1
)

var errSeal = errors.New("the passphrase is wrong, or the file is damaged")

func sealKey(passphrase, salt []byte) (cipher.AEAD, error) {
	key, err := scrypt.Key(passphrase, salt, scryptN, scryptR, scryptP, chacha20poly1305.KeySize)
	if err != nil {
		return nil, fmt.Errorf("make a key of the passphrase: %w", err)
	}
	return chacha20poly1305.New(key)
}

// nonceOf is the nonce of a chunk.
func nonceOf(n uint64, last bool) []byte {
	nonce := make([]byte, chacha20poly1305.NonceSize)
	binary.BigEndian.PutUint64(nonce[3:11], n)
	if last {
		nonce[11] = 1
	}
	return nonce
}

// sealer encrypts what is written to it.
type sealer struct {
	to     io.Writer
	aead   cipher.AEAD
	chunk  []byte
	number uint64
}

// newSealer begins a sealed file. It is whole once Close has returned.
func newSealer(to io.Writer, passphrase []byte) (io.WriteCloser, error) {
	salt := make([]byte, saltSize)
	if _, err := rand.Read(salt); err != nil {
		return nil, err
	}
	aead, err := sealKey(passphrase, salt)
	if err != nil {
		return nil, err
	}
	if _, err := to.Write(append([]byte(sealMagic), salt...)); err != nil {
		return nil, err
	}
	return &sealer{to: to, aead: aead}, nil
}

func (s *sealer) Write(p []byte) (int, error) {
	s.chunk = append(s.chunk, p...)
	for len(s.chunk) > chunkSize { // one is kept back: it may be the last
		if err := s.flush(s.chunk[:chunkSize], false); err != nil {
			return 0, err
		}
		s.chunk = append(s.chunk[:0], s.chunk[chunkSize:]...)
	}
	return len(p), nil
}

func (s *sealer) Close() error { return s.flush(s.chunk, true) }

func (s *sealer) flush(plain []byte, last bool) error {
	_, err := s.to.Write(s.aead.Seal(nil, nonceOf(s.number, last), plain, nil))
	s.number++
	return err
}

// opener decrypts what it reads.
type opener struct {
	from   io.Reader
	aead   cipher.AEAD
	number uint64
	ahead  []byte // encrypted, the next chunk
	plain  bytes.Reader
	ended  bool
}

// newOpener reads a sealed file from behind sealMagic on.
func newOpener(from io.Reader, passphrase []byte) (io.Reader, error) {
	salt := make([]byte, saltSize)
	if _, err := io.ReadFull(from, salt); err != nil {
		return nil, errSeal
	}
	aead, err := sealKey(passphrase, salt)
	if err != nil {
		return nil, err
	}
	o := &opener{from: from, aead: aead}
	o.ahead, err = o.chunk()
	return o, err
}

func (o *opener) Read(p []byte) (int, error) {
	for o.plain.Len() == 0 {
		if o.ended {
			return 0, io.EOF
		}
		if err := o.next(); err != nil {
			return 0, err
		}
	}
	return o.plain.Read(p)
}

// next opens the chunk that was read ahead; it is the last if none follows.
func (o *opener) next() error {
	following, err := o.chunk()
	if err != nil {
		return err
	}
	o.ended = len(following) == 0
	plain, err := o.aead.Open(nil, nonceOf(o.number, o.ended), o.ahead, nil)
	if err != nil {
		return errSeal
	}
	o.number++
	o.ahead = following
	o.plain.Reset(plain)
	return nil
}

func (o *opener) chunk() ([]byte, error) {
	buffer := make([]byte, chunkSize+o.aead.Overhead())
	n, err := io.ReadFull(o.from, buffer)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return buffer[:n], err
}

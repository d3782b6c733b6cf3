// Package certs makes and keeps the cluster's certificates.
//
// There are three authorities, so that no certificate works where it was not
// meant to: the client CA signs clients of the API server, the server CA what
// listens, and the request-header CA only the API server's aggregation proxy.
// All keys are ECDSA P-256, which are made in well under a millisecond.
//
// It imports no Kubernetes package.
package certs

import (
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"k8sbuild.dev/distribution/pkg/durable"
)

const (
	caLife   = 10 * 365 * 24 * time.Hour
	leafLife = 365 * 24 * time.Hour
	// renewBefore is the remaining life below which a leaf is made anew.
	renewBefore = 90 * 24 * time.Hour
	// backdate allows for clocks that are behind ours.
	backdate = time.Hour
)

// Leaf is a certificate that an authority signs.
type Leaf struct {
	// Name is the file name without its ending.
	Name string
	// CA is the name of the authority.
	CA string
	// CommonName and Organizations are the user and its groups for a client.
	CommonName    string
	Organizations []string
	// SANs are the names and addresses of a server; without any it is a client.
	SANs []string
	// Life is how long the certificate is valid; zero is a year.
	Life time.Duration
}

// Store keeps certificates as PEM files in a directory.
type Store struct {
	Dir string
	// Now is the clock.
	Now func() time.Time
}

// Cert is the path of a certificate.
func (s Store) Cert(name string) string { return filepath.Join(s.Dir, name+".crt") }

// Key is the path of a private key.
func (s Store) Key(name string) string { return filepath.Join(s.Dir, name+".key") }

type pair struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// Ensure makes what is missing, outdated or no longer as asked, and leaves the
// rest alone. It returns the names of what it made.
func (s Store) Ensure(authorities []string, leaves []Leaf) (made []string, err error) {
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make certificate directory: %w", err)
	}
	cas := map[string]pair{}
	for _, name := range authorities {
		ca, isNew, err := s.ensureCA(name)
		if err != nil {
			return made, fmt.Errorf("certificate authority %s: %w", name, err)
		}
		if isNew {
			made = append(made, name)
		}
		cas[name] = ca
	}
	for _, leaf := range leaves {
		isNew, err := s.ensureLeaf(leaf, cas[leaf.CA])
		if err != nil {
			return made, fmt.Errorf("certificate %s: %w", leaf.Name, err)
		}
		if isNew {
			made = append(made, leaf.Name)
		}
	}
	return made, nil
}

// ensureCA never replaces an authority that cannot be read: all that it signed
// would be lost with it.
func (s Store) ensureCA(name string) (pair, bool, error) {
	ca, err := s.load(name)
	switch {
	case err == nil && !ca.cert.IsCA:
		return pair{}, false, errors.New("the file holds no authority's certificate")
	case err == nil && s.Now().After(ca.cert.NotAfter):
		return pair{}, false, fmt.Errorf("expired on %s", ca.cert.NotAfter.Format(time.DateOnly))
	case err == nil:
		return ca, false, nil
	case !missing(s.Cert(name)):
		return pair{}, false, err
	}
	// The key is written first. One without a certificate is of a start that was
	// killed in between, or of a lost file: the same key keeps what it signed valid.
	if err := s.EnsureKey(name); err != nil {
		return pair{}, false, err
	}
	key, err := s.loadKey(name)
	if err != nil {
		return pair{}, false, err
	}
	template := s.template(name, caLife)
	template.IsCA = true
	template.BasicConstraintsValid = true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature
	ca, err = s.sign(name, template, key, pair{template, key})
	return ca, true, err
}

func missing(path string) bool {
	_, err := os.Stat(path)
	return errors.Is(err, os.ErrNotExist)
}

func (s Store) ensureLeaf(leaf Leaf, ca pair) (bool, error) {
	if ca.cert == nil {
		return false, fmt.Errorf("unknown authority %q", leaf.CA)
	}
	template := s.leafTemplate(leaf)
	if old, err := s.load(leaf.Name); err == nil && s.keeps(old.cert, template, ca.cert) {
		return false, nil
	}
	return true, s.issue(leaf.Name, template, ca)
}

// Issue makes a certificate anew, whatever is there. Its authority exists.
func (s Store) Issue(leaf Leaf) error {
	ca, err := s.load(leaf.CA)
	if err != nil {
		return err
	}
	return s.issue(leaf.Name, s.leafTemplate(leaf), ca)
}

func (s Store) leafTemplate(leaf Leaf) *x509.Certificate {
	template := s.template(leaf.CommonName, cmp.Or(leaf.Life, leafLife))
	template.Subject.Organization = leaf.Organizations
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	if len(leaf.SANs) > 0 {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		setSANs(template, leaf.SANs)
	}
	return template
}

// issue makes a key and a certificate for it.
func (s Store) issue(name string, template *x509.Certificate, ca pair) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make key: %w", err)
	}
	if err := s.writeKey(name, key); err != nil {
		return err
	}
	_, err = s.sign(name, template, key, ca)
	return err
}

func setSANs(template *x509.Certificate, sans []string) {
	sans = slices.Clone(sans)
	slices.Sort(sans)
	for _, san := range slices.Compact(sans) {
		if ip := net.ParseIP(san); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, san)
		}
	}
}

// keeps says whether old is still what the template asks for.
func (s Store) keeps(old, want, ca *x509.Certificate) bool {
	return s.Now().Add(renewBefore).Before(old.NotAfter) &&
		old.CheckSignatureFrom(ca) == nil &&
		old.Subject.CommonName == want.Subject.CommonName &&
		slices.Equal(old.Subject.Organization, want.Subject.Organization) &&
		slices.Equal(old.ExtKeyUsage, want.ExtKeyUsage) &&
		slices.Equal(old.DNSNames, want.DNSNames) &&
		slices.EqualFunc(old.IPAddresses, want.IPAddresses, net.IP.Equal)
}

func (s Store) template(commonName string, life time.Duration) *x509.Certificate {
	now := s.Now()
	return &x509.Certificate{
		Subject:   pkix.Name{CommonName: commonName},
		NotBefore: now.Add(-backdate),
		NotAfter:  now.Add(life),
	}
}

// SignRequest has an authority sign what a request asks for, without looking at
// who asks. Life is at most a year; zero is a year.
func (s Store) SignRequest(authority string, csr *x509.CertificateRequest, usage x509.ExtKeyUsage, life time.Duration) (chain []byte, err error) {
	if err := csr.CheckSignature(); err != nil {
		return nil, fmt.Errorf("check request: %w", err)
	}
	ca, err := s.load(authority)
	if err != nil {
		return nil, err
	}
	if life <= 0 || life > leafLife {
		life = leafLife
	}
	template := s.template("", life)
	template.Subject, template.DNSNames, template.IPAddresses = csr.Subject, csr.DNSNames, csr.IPAddresses
	template.KeyUsage = x509.KeyUsageDigitalSignature
	if csr.PublicKeyAlgorithm == x509.RSA {
		template.KeyUsage |= x509.KeyUsageKeyEncipherment
	}
	template.ExtKeyUsage = []x509.ExtKeyUsage{usage}
	template.BasicConstraintsValid = true
	der, err := create(template, csr.PublicKey, ca)
	return encode(der), err
}

// sign has the signer sign the template for a key, and writes the certificate.
func (s Store) sign(name string, template *x509.Certificate, key *ecdsa.PrivateKey, signer pair) (pair, error) {
	der, err := create(template, key.Public(), signer)
	if err != nil {
		return pair{}, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return pair{}, fmt.Errorf("read back: %w", err)
	}
	return pair{cert, key}, durable.Write(s.Cert(name), encode(der), 0o644)
}

func encode(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// create gives the template a serial number and has the signer sign it.
func create(template *x509.Certificate, key crypto.PublicKey, signer pair) (der []byte, err error) {
	template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("make serial number: %w", err)
	}
	der, err = x509.CreateCertificate(rand.Reader, template, signer.cert, key, signer.key)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	return der, nil
}

func (s Store) writeKey(name string, key *ecdsa.PrivateKey) error {
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return fmt.Errorf("encode key: %w", err)
	}
	return durable.Write(s.Key(name), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600)
}

func (s Store) load(name string) (pair, error) {
	key, err := s.loadKey(name)
	if err != nil {
		return pair{}, err
	}
	block, err := readPEM(s.Cert(name))
	if err != nil {
		return pair{}, err
	}
	cert, err := x509.ParseCertificate(block)
	if err != nil {
		return pair{}, fmt.Errorf("%s: %w", s.Cert(name), err)
	}
	if !key.PublicKey.Equal(cert.PublicKey) {
		return pair{}, fmt.Errorf("%s and %s do not belong together", s.Cert(name), s.Key(name))
	}
	return pair{cert, key}, nil
}

func (s Store) loadKey(name string) (*ecdsa.PrivateKey, error) {
	block, err := readPEM(s.Key(name))
	if err != nil {
		return nil, err
	}
	key, err := x509.ParseECPrivateKey(block)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.Key(name), err)
	}
	return key, nil
}

func readPEM(path string) ([]byte, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, fmt.Errorf("%s: not a PEM file", path)
	}
	return block.Bytes, nil
}

// EnsureKey makes a private key without a certificate. One that cannot be read
// is an error: what it signed would no longer be accepted.
func (s Store) EnsureKey(name string) error {
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return fmt.Errorf("make certificate directory: %w", err)
	}
	if _, err := s.loadKey(name); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make key: %w", err)
	}
	return s.writeKey(name, key)
}

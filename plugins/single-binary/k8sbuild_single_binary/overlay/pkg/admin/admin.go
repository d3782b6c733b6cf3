// Package admin asks the server on this machine as its administrator.
//
// It imports no Kubernetes package.
package admin

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"k8sbuild.dev/distribution/pkg/certs"
	"k8sbuild.dev/distribution/pkg/config"
)

// limit bounds one question.
const limit = 5 * time.Second

// Client is an HTTP client with the administrator's certificate. The files are
// there once the server has started.
func Client(cfg *config.Config) (*http.Client, error) {
	store := certs.Cluster(cfg)
	ca, err := os.ReadFile(store.Cert(certs.ServerCA))
	if err != nil {
		return nil, fmt.Errorf("read server CA: %w", err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(ca)
	cert, err := tls.LoadX509KeyPair(store.Cert(certs.Admin), store.Key(certs.Admin))
	if err != nil {
		return nil, fmt.Errorf("read admin certificate: %w", err)
	}
	settings := &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	return &http.Client{Timeout: limit, Transport: &http.Transport{TLSClientConfig: settings, DisableKeepAlives: true}}, nil
}

// Get is what a URL answers; a status that is not 200 is an error that says it.
func Get(ctx context.Context, client *http.Client, url string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", url, err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("read the answer of %s: %w", url, err)
	}
	if resp.StatusCode != http.StatusOK {
		return text, fmt.Errorf("%s answers %s", url, resp.Status)
	}
	return text, nil
}

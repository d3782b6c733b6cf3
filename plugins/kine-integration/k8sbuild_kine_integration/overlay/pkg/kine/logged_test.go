package kine

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/sirupsen/logrus"
	clientv3 "go.etcd.io/etcd/client/v3"
)

// logged is what is logged meanwhile.
func logged(do func()) string {
	var lines bytes.Buffer
	logrus.SetOutput(&lines)
	do()
	logrus.SetOutput(io.Discard) // waits for a line that is being written
	return lines.String()
}

func TestFailedWritesAreLoggedWithoutValues(t *testing.T) {
	const key, value = "/registry/secrets/a", "confidential"
	c := client(t, started(t, t.TempDir()))
	for what, write := range map[string]func() error{
		"put": func() error {
			_, err := c.Put(t.Context(), key, value, clientv3.WithIgnoreLease())
			return err
		},
		"transaction": func() error {
			_, err := c.Txn(t.Context()).If(clientv3.Compare(clientv3.Value(key), "=", value)).
				Then(clientv3.OpPut(key, value)).Else(clientv3.OpPut(key, value)).Commit()
			return err
		},
	} {
		var err error
		lines := logged(func() { err = write() })
		if err == nil {
			t.Errorf("a %s that Kine does not know is done", what)
		}
		if !strings.Contains(lines, key) || strings.Contains(lines, value) {
			t.Errorf("of a failed %s is logged: %s", what, lines)
		}
	}
}

package kine

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// verify compares etcd with the database, key by key in both directions.
func (m *migration) verify(ctx context.Context) error {
	theirs := &pages{etcd: m.etcd, from: registryPrefix}
	err := m.each(ctx, "name", func(e entry) error {
		key, value, err := theirs.peek(ctx)
		if err != nil {
			return err
		}
		if key != e.key && e.lease > 0 {
			return nil // its time to live is over
		}
		if key != e.key || !bytes.Equal(value, e.value) {
			return fmt.Errorf("etcd and the database differ at %s (etcd has %q next): empty etcd and migrate again", e.key, key)
		}
		theirs.next()
		return nil
	})
	if err != nil {
		return err
	}
	if key, _, err := theirs.peek(ctx); err != nil || key != "" {
		return errors.Join(fmt.Errorf("etcd has %q, which the database has not: empty etcd and migrate again", key), err)
	}
	return nil
}

// pages reads etcd's keys in their order.
type pages struct {
	etcd clientv3.KV
	from string
	page []entry
	end  bool
}

// peek is the key that comes next, "" behind the last.
func (p *pages) peek(ctx context.Context) (string, []byte, error) {
	if len(p.page) == 0 && !p.end {
		got, err := p.etcd.Get(ctx, p.from, clientv3.WithRange(clientv3.GetPrefixRangeEnd(registryPrefix)), clientv3.WithLimit(500))
		if err != nil {
			return "", nil, fmt.Errorf("read etcd: %w", err)
		}
		for _, kv := range got.Kvs {
			p.page = append(p.page, entry{key: string(kv.Key), value: kv.Value})
		}
		p.end = !got.More
	}
	if len(p.page) == 0 {
		return "", nil, nil
	}
	return p.page[0].key, p.page[0].value, nil
}

func (p *pages) next() {
	p.from = p.page[0].key + "\x00"
	p.page = p.page[1:]
}

package kine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
)

var errFake = errors.New("the fake etcd is told to fail")

// fakeEtcd is as much of an etcd as a migration uses, for where there is none.
type fakeEtcd struct {
	clientv3.KV
	clientv3.Lease
	mu        sync.Mutex
	revision  int64
	keys      map[string]*mvccpb.KeyValue
	compacted int64
	writes    int // until it fails; negative for never
}

func newFakeEtcd() *fakeEtcd {
	return &fakeEtcd{revision: 1, keys: map[string]*mvccpb.KeyValue{}, writes: -1}
}

func (f *fakeEtcd) Get(_ context.Context, key string, opts ...clientv3.OpOption) (*clientv3.GetResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return (*clientv3.GetResponse)(f.find(clientv3.OpGet(key, opts...))), nil
}

func (f *fakeEtcd) Put(_ context.Context, key, value string, opts ...clientv3.OpOption) (*clientv3.PutResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return &clientv3.PutResponse{}, f.write(clientv3.OpPut(key, value, opts...))
}

func (f *fakeEtcd) Delete(_ context.Context, key string, _ ...clientv3.OpOption) (*clientv3.DeleteResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.revision++
	delete(f.keys, key)
	return &clientv3.DeleteResponse{Header: f.header()}, nil
}

func (f *fakeEtcd) Compact(_ context.Context, revision int64, _ ...clientv3.CompactOption) (*clientv3.CompactResponse, error) {
	f.compacted = revision
	return &clientv3.CompactResponse{}, nil
}

func (f *fakeEtcd) Grant(_ context.Context, ttl int64) (*clientv3.LeaseGrantResponse, error) {
	return &clientv3.LeaseGrantResponse{ID: clientv3.LeaseID(ttl)}, nil
}

func (f *fakeEtcd) Txn(context.Context) clientv3.Txn { return &fakeTxn{etcd: f} }

func (f *fakeEtcd) header() *pb.ResponseHeader { return &pb.ResponseHeader{Revision: f.revision} }

// find does not know limits: etcd may give more than one page at once.
func (f *fakeEtcd) find(op clientv3.Op) *pb.RangeResponse {
	found := &pb.RangeResponse{Header: f.header()}
	from, to := string(op.KeyBytes()), string(op.RangeBytes())
	for key, kv := range f.keys {
		if key == from || to != "" && key >= from && key < to {
			found.Kvs = append(found.Kvs, kv)
		}
	}
	slices.SortFunc(found.Kvs, func(a, b *mvccpb.KeyValue) int { return slices.Compare(a.Key, b.Key) })
	found.Count = int64(len(found.Kvs))
	return found
}

// write does puts as one transaction.
func (f *fakeEtcd) write(puts ...clientv3.Op) error {
	if f.writes == 0 {
		return errFake
	}
	f.writes--
	f.revision++
	for _, op := range puts {
		f.keys[string(op.KeyBytes())] = &mvccpb.KeyValue{Key: op.KeyBytes(), Value: op.ValueBytes(), ModRevision: f.revision}
	}
	return nil
}

// fakeTxn is a transaction whose condition is that a key is not there.
type fakeTxn struct {
	etcd        *fakeEtcd
	absent      []clientv3.Cmp
	then, other []clientv3.Op
}

func (t *fakeTxn) If(c ...clientv3.Cmp) clientv3.Txn    { t.absent = c; return t }
func (t *fakeTxn) Then(ops ...clientv3.Op) clientv3.Txn { t.then = ops; return t }
func (t *fakeTxn) Else(ops ...clientv3.Op) clientv3.Txn { t.other = ops; return t }
func (t *fakeTxn) Commit() (*clientv3.TxnResponse, error) {
	f := t.etcd
	f.mu.Lock()
	defer f.mu.Unlock()
	response, ops := &clientv3.TxnResponse{Header: f.header(), Succeeded: true}, t.then
	for _, c := range t.absent {
		if f.keys[string(c.Key)] != nil {
			response.Succeeded, ops = false, t.other
		}
	}
	if len(ops) > 0 && ops[0].IsPut() {
		return response, f.write(ops...)
	}
	for _, op := range ops {
		if !op.IsGet() {
			return nil, fmt.Errorf("the fake etcd does not know %+v", op)
		}
		response.Responses = append(response.Responses, &pb.ResponseOp{Response: &pb.ResponseOp_ResponseRange{ResponseRange: f.find(op)}})
	}
	return response, nil
}

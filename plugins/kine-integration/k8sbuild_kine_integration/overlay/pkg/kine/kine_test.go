package kine

import (
	"context"
	"strings"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"k8sbuild.dev/distribution/pkg/config"
	"k8sbuild.dev/distribution/pkg/server"
)

func TestRegisterOffersTheStorage(t *testing.T) {
	Register()
	cfg := config.Default()
	cfg.DisableAgent = true
	if _, err := server.Components(cfg); err == nil || strings.Contains(err.Error(), "storage component") {
		t.Errorf("the storage is not registered: %v", err)
	}
}

func TestAnswersAnEtcdClient(t *testing.T) {
	s := started(t, t.TempDir())
	c := client(t, s)
	if err := s.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	events := c.Watch(ctx, "/registry/", clientv3.WithPrefix(), clientv3.WithPrevKV())

	revision := mustCreate(t, c, "/registry/a", "1")
	if ok, err := update(ctx, c, "/registry/a", "2", revision); err != nil || !ok {
		t.Fatalf("update: %v %v", ok, err)
	}
	if ok, err := update(ctx, c, "/registry/a", "3", revision); err != nil || ok {
		t.Fatalf("an update of an old revision: %v %v", ok, err)
	}
	if _, created, err := create(ctx, c, "/registry/a", "4"); err != nil || created {
		t.Fatalf("a second create: %v %v", created, err)
	}
	if got := mustGet(t, c, "/registry/a"); got != "2" {
		t.Errorf("value %q", got)
	}
	list, err := c.Get(ctx, "/registry/a", clientv3.WithRange("/registry/b"))
	if err != nil || list.Count != 1 {
		t.Errorf("list: %v %v", list, err)
	}

	var seen []string
	for len(seen) < 2 {
		response, ok := <-events
		if !ok {
			t.Fatalf("the watch ended after %v", seen)
		}
		for _, event := range response.Events {
			if string(event.Kv.Key) == "/registry/a" {
				seen = append(seen, string(event.Kv.Value))
			}
		}
	}
	if strings.Join(seen, ",") != "1,2" {
		t.Errorf("events %v", seen)
	}
}

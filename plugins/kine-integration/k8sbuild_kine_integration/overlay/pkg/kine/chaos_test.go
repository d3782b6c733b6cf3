package kine

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
)

const (
	// loadedDir makes the test binary a server under load on that data directory,
	// until it is killed.
	loadedDir = "KINE_TEST_LOADED_DIR"
	kills     = 500
	writers   = 12
)

// beLoaded serves, creates, updates, deletes and compacts.
func beLoaded(dir string) {
	keepWriting(serve(dir), func() {})
	select {}
}

// keepWriting writes for as long as the process lives. It prints the key, the step and
// the revision of each write once it is confirmed, and then calls wrote.
func keepWriting(c *clientv3.Client, wrote func()) {
	for w := range writers {
		go func() {
			for n := 0; ; n++ {
				lifeOf(c, fmt.Sprintf("%s%d-%d", os.Getenv(loadedName), w, n), wrote)
			}
		}()
	}
}

// lifeOf takes a key through its three steps.
func lifeOf(c *clientv3.Client, key string, wrote func()) {
	ctx := context.Background()
	say := func(step int, revision int64) {
		fmt.Printf("%s %d %d\n", key, step, revision)
		wrote()
	}
	revision, created, err := create(ctx, c, key, strings.Repeat("1", 500))
	if err != nil || !created {
		panic(fmt.Sprint(key, created, err))
	}
	say(1, revision)
	updated, err := c.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(key), "=", revision)).
		Then(clientv3.OpPut(key, strings.Repeat("2", 700))).Else(clientv3.OpGet(key)).Commit()
	if err != nil || !updated.Succeeded {
		panic(fmt.Sprint(key, updated, err))
	}
	say(2, updated.Header.Revision)
	if updated.Header.Revision%7 != 0 {
		return // most keys stay
	}
	removed, err := c.Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(key), "=", updated.Header.Revision)).
		Then(clientv3.OpDelete(key)).Else(clientv3.OpGet(key)).Commit()
	if err != nil || !removed.Succeeded {
		panic(fmt.Sprint(key, removed, err))
	}
	say(3, removed.Header.Revision)
	if _, err := c.Compact(ctx, removed.Header.Revision-20); err != nil && !strings.Contains(err.Error(), "compacted") {
		panic(err)
	}
}

// step is the last confirmed one of a key.
type step struct {
	number   int
	revision int64
}

// confirmed reads what a server under load confirmed until its end, which comes
// after n writes, or by itself.
func confirmed(t *testing.T, role, dir string, n int, of map[string]step, taken map[int64]string) child {
	t.Helper()
	return play(t, role, dir, n, func(line string) {
		key, at := parse(t, line)
		if at.number > of[key].number {
			of[key] = at
		}
		if before := taken[at.revision]; before != "" {
			t.Errorf("revision %d is of %s and of %s", at.revision, before, key)
		}
		taken[at.revision] = key
	})
}

func parse(t *testing.T, line string) (string, step) {
	t.Helper()
	fields := strings.Fields(line)
	if len(fields) != 3 {
		t.Fatalf("line %q", line)
	}
	number, err := strconv.Atoi(fields[1])
	if err != nil {
		t.Fatal(err)
	}
	revision, err := strconv.ParseInt(fields[2], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return fields[0], step{number, revision}
}

// lost are the keys whose last confirmed step, or the next one that nobody
// confirmed, is not what the database on dir has below prefix.
func lost(t *testing.T, dir, prefix string, of map[string]step) []string {
	t.Helper()
	s := running(t, dir)
	defer stop(t, s)
	c := client(t, s)
	defer c.Close()
	all, err := c.Get(t.Context(), prefix, clientv3.WithPrefix())
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]step{}
	for _, kv := range all.Kvs {
		number, err := strconv.Atoi(string(kv.Value[:1]))
		if err != nil {
			t.Fatal(err)
		}
		found[string(kv.Key)] = step{number, kv.ModRevision}
	}
	var keys []string
	for key, want := range of {
		got, there := found[key]
		gone := !there && want.number >= 2
		if !gone && got != want && !(got.number == want.number+1 && got.revision > want.revision) {
			keys = append(keys, fmt.Sprintf("%s: step %+v was confirmed, %+v is there", key, want, got))
		}
	}
	return keys
}

// TestChaosKill kills a server under load again and again.
func TestChaosKill(t *testing.T) {
	times := kills
	if testing.Short() {
		times = 3
	}
	dir := t.TempDir()
	taken := map[int64]string{}
	all := map[string]step{}
	losses := 0
	look := func(prefix string, of map[string]step) {
		for _, line := range lost(t, dir, prefix, of) {
			losses++
			t.Error(line)
		}
	}
	for range times {
		of := map[string]step{}
		look(confirmed(t, loadedDir, dir, 1+rand.IntN(300), of, taken).keys, of)
		maps.Copy(all, of)
	}
	look("/registry/loaded/", all)
	t.Attr("kills", strconv.Itoa(times))
	t.Attr("confirmed-writes", strconv.Itoa(len(taken)))
	t.Attr("keys-lost", fmt.Sprintf("%d of %d", losses, len(all)))
}

// TestChaosFullDisk fills the disk under a running server and frees it again.
func TestChaosFullDisk(t *testing.T) {
	dir := small(t, "40m")
	s := newStorage(t, dir)
	s.chosen.keptOnDisk = 0 // somebody was quicker than the look at what is left
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, s) })
	c := client(t, s)
	kept := map[string]string{}
	value := strings.Repeat("v", 100_000)
	write := func(n int) error {
		key := fmt.Sprint("/registry/", n)
		_, created, err := create(t.Context(), c, key, value)
		if err == nil && created {
			kept[key] = value
		}
		return err
	}
	revision := mustCreate(t, c, "/registry/updated", "1")
	refused := fillUntilRefused(t, write)
	if !strings.Contains(refused.Error(), "full") {
		t.Errorf("a full disk is %q", refused)
	}
	if _, err := update(t.Context(), c, "/registry/updated", value, revision); err == nil || !strings.Contains(err.Error(), "full") {
		t.Errorf("an update on a full disk: %v", err)
	}
	if got := mustGet(t, c, "/registry/updated"); got != "1" { // reads go on
		t.Errorf("value %q", got)
	}
	// What gives space: here a larger disk, by hand a file that somebody removes.
	if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size=80m"); err != nil {
		t.Fatal(err)
	}
	if err := write(1_000_000); err != nil {
		t.Errorf("after space came: %v", err)
	}
	for key, want := range kept {
		if got := mustGet(t, c, key); got != want {
			t.Errorf("%s: %d bytes", key, len(got))
		}
	}
	t.Attr("writes-before-full", strconv.Itoa(len(kept)))
}

// fillUntilRefused writes from several clients until one write is refused.
func fillUntilRefused(t *testing.T, write func(int) error) error {
	t.Helper()
	for n := range 2000 {
		if err := write(n); err != nil {
			return err
		}
	}
	t.Fatal("the disk never fills")
	return nil
}

package apiserver

import (
	"context"
	"strconv"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/storage"
	"k8s.io/apiserver/pkg/storage/cacher"
	"k8s.io/client-go/kubernetes/scheme"
	testingclock "k8s.io/utils/clock/testing"
)

// eventful is a storage that holds nothing and has events.
type eventful struct {
	storage.Interface
	events *watch.FakeWatcher
}

func (e eventful) GetList(_ context.Context, _ string, _ storage.ListOptions, list runtime.Object) error {
	return storage.APIObjectVersioner{}.UpdateList(list, 1, "", nil)
}

func (e eventful) Watch(context.Context, string, storage.ListOptions) (watch.Interface, error) {
	return e.events, nil
}

func (e eventful) RequestWatchProgress(context.Context) error { return nil }

// cached is the API server's cache in front of a storage.
func cached(t *testing.T, clock *testingclock.FakeClock, events *watch.FakeWatcher) *cacher.Cacher {
	t.Helper()
	c, err := cacher.NewCacherFromConfig(cacher.Config{
		Storage:     eventful{events: events},
		Versioner:   storage.APIObjectVersioner{},
		KeyFunc:     func(object runtime.Object) (string, error) { return storage.NamespaceKeyFunc("kept", object) },
		NewFunc:     func() runtime.Object { return &corev1.ConfigMap{} },
		NewListFunc: func() runtime.Object { return &corev1.ConfigMapList{} },
		GetAttrsFunc: func(runtime.Object) (labels.Set, fields.Set, error) {
			return nil, nil, nil
		},
		Codec: scheme.Codecs.LegacyCodec(corev1.SchemeGroupVersion),
		Clock: clock,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Stop)
	return c
}

// firstAfter is what a watch from a revision begins with.
func firstAfter(t *testing.T, c *cacher.Cacher, revision int) watch.EventType {
	t.Helper()
	w, err := c.Watch(t.Context(), "kept", storage.ListOptions{
		ResourceVersion: strconv.Itoa(revision), Predicate: storage.Everything, Recursive: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	select {
	case event := <-w.ResultChan():
		return event.Type
	case <-time.After(time.Minute):
		t.Fatalf("a watch from revision %d gets nothing", revision)
		return ""
	}
}

// burst has the cache get an event of each revision from 2 to last, with what it keeps of them.
func burst(t *testing.T, clock *testingclock.FakeClock, last int) *cacher.Cacher {
	t.Helper()
	events := watch.NewFake()
	c := cached(t, clock, events)
	for n := 2; n <= last; n++ {
		name := strconv.Itoa(n)
		events.Add(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "a", Name: name, ResourceVersion: name}})
	}
	firstAfter(t, c, last-1) // it has come that far
	return c
}

// keeps wants a watch to begin with what is after a revision, but not one before.
func keeps(t *testing.T, c *cacher.Cacher, revision int) {
	t.Helper()
	if got := firstAfter(t, c, revision); got != watch.Added {
		t.Errorf("%s after revision %d: less is kept", got, revision)
	}
	if got := firstAfter(t, c, revision-1); got != watch.Error {
		t.Errorf("%s after revision %d: more is kept", got, revision-1)
	}
}

func TestHistoryOfABurstIsForgotten(t *testing.T) {
	const last, kept = 400, 100 // revisions
	clock := testingclock.NewFakeClock(time.Now())
	c := burst(t, clock, last)
	if got := firstAfter(t, c, 1); got != watch.Added {
		t.Errorf("%s: the burst is forgotten at once", got)
	}
	clock.Step(2 * time.Minute)
	for n := 0; n < 1000 && firstAfter(t, c, last-kept-1) != watch.Error; n++ {
		clock.Step(2 * time.Second)
		time.Sleep(10 * time.Millisecond)
	}
	keeps(t, c, last-kept)
}

func TestHistoryIsBounded(t *testing.T) {
	const last, kept = 5000, 4096
	keeps(t, burst(t, testingclock.NewFakeClock(time.Now()), last), last-kept)
}

package boot

import (
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	typed "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

// ours are the objects of these tests: controllers make others.
var ours = labels.Set{"made-by": "test"}

// informer is one that knows how often it was told that its revision is gone.
type informer struct {
	cache.SharedInformer
	mu   sync.Mutex
	gone int
}

// configMaps are those of the default namespace.
func (b *booted) configMaps() typed.ConfigMapInterface {
	b.t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", filepath.Join(b.dir, "admin.kubeconfig"))
	if err != nil {
		b.t.Fatal(err)
	}
	clients, err := kubernetes.NewForConfig(config)
	if err != nil {
		b.t.Fatal(err)
	}
	return clients.CoreV1().ConfigMaps("default")
}

// inform starts an informer that lives until the test ends.
func inform(t *testing.T, maps typed.ConfigMapInterface) *informer {
	t.Helper()
	i := &informer{}
	i.SharedInformer = cache.NewSharedInformer(&cache.ListWatch{
		ListFunc: func(options metav1.ListOptions) (runtime.Object, error) {
			options.LabelSelector = ours.String()
			return maps.List(context.Background(), options)
		},
		WatchFunc: func(options metav1.ListOptions) (watch.Interface, error) {
			options.LabelSelector = ours.String()
			w, err := maps.Watch(context.Background(), options)
			if err != nil {
				return nil, err
			}
			return watch.Filter(w, i.note), nil
		},
	}, &corev1.ConfigMap{}, 0)
	ends := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() { i.Run(ends) })
	t.Cleanup(func() { close(ends); group.Wait() })
	if !cache.WaitForCacheSync(ends, i.HasSynced) {
		t.Fatal("the informer does not begin")
	}
	return i
}

func (i *informer) note(e watch.Event) (watch.Event, bool) {
	if status, ok := e.Object.(*metav1.Status); ok && e.Type == watch.Error && status.Code == http.StatusGone {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.gone++
	}
	return e, true
}

func (i *informer) wasGone() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.gone
}

// has says whether the informer has exactly these objects.
func (i *informer) has(items []corev1.ConfigMap) bool {
	if len(i.GetStore().ListKeys()) != len(items) {
		return false
	}
	for n := range items {
		own, there, err := i.GetStore().GetByKey("default/" + items[n].Name)
		if err != nil || !there || !reflect.DeepEqual(own, &items[n]) {
			return false
		}
	}
	return true
}

// listed are all objects and the highest revision, of them and of the list.
func listed(t *testing.T, maps typed.ConfigMapInterface) ([]corev1.ConfigMap, int64) {
	t.Helper()
	all, err := maps.List(t.Context(), metav1.ListOptions{LabelSelector: ours.String()})
	if err != nil {
		t.Fatal(err)
	}
	return all.Items, revision(t, all.ResourceVersion)
}

func revision(t *testing.T, text string) int64 {
	t.Helper()
	number, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return number
}

func configMap(name, value string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: ours}, Data: map[string]string{"key": value}}
}

// change updates an object, removes one and makes one, which carry the name of a round.
func change(t *testing.T, maps typed.ConfigMapInterface, round string, items []corev1.ConfigMap) {
	t.Helper()
	updated := items[0].DeepCopy()
	updated.Data = map[string]string{"key": round}
	if _, err := maps.Update(t.Context(), updated, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := maps.Delete(t.Context(), items[1].Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := maps.Create(t.Context(), configMap("made-"+round, round), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// TestInformerOutlivesAMigration keeps an informer while the state of its server
// moves from SQLite to etcd. Its watch is told that its revision is gone, so that
// it lists anew, and it has every object exactly as it is. An update with what
// somebody read before is refused.
func TestInformerOutlivesAMigration(t *testing.T) {
	program := binary(t, "K8S_BINARY")
	url, _ := etcd(t)
	b := prepare(t, filepath.Join(t.TempDir(), "data"))
	b.start()
	maps := b.configMaps()
	for n := range 30 {
		if _, err := maps.Create(t.Context(), configMap(fmt.Sprintf("map-%02d", n), "first"), metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	seen := inform(t, maps)
	before, _ := listed(t, maps)
	change(t, maps, "before", before)
	before, last := listed(t, maps)
	b.waitFor(func() bool { return seen.has(before) }, "objects at the informer")
	b.stop()

	args := []string{"migrate", "--data-dir=" + b.dir, "--etcd-servers=" + url}
	if out, err := exec.Command(program, args...).CombinedOutput(); err != nil || !strings.Contains(string(out), "each compared") {
		t.Fatalf("migrate: %v\n%s", err, out)
	}
	b.args = append(b.args, "--server-mode=ha", "--etcd-servers="+url)
	b.start()
	after, _ := listed(t, maps)
	compareMigrated(t, before, after, last)
	if _, err := maps.Update(t.Context(), &before[2], metav1.UpdateOptions{}); err == nil {
		t.Error("an update with a revision of the database is taken")
	}
	b.waitFor(func() bool { return seen.has(after) }, "objects at the informer after the migration")
	change(t, maps, "after", after)
	after, _ = listed(t, maps)
	b.waitFor(func() bool { return seen.has(after) }, "changes at the informer after the migration")
	if seen.wasGone() == 0 {
		t.Error("the informer was never told that its revision is gone")
	}
	b.stop()
}

// compareMigrated wants the same objects, at revisions above the database's last.
func compareMigrated(t *testing.T, before, after []corev1.ConfigMap, last int64) {
	t.Helper()
	if len(before) != len(after) {
		t.Errorf("%d objects before, %d after", len(before), len(after))
	}
	byName := map[string]corev1.ConfigMap{}
	for _, each := range before {
		byName[each.Name] = each
	}
	for _, each := range after {
		if at := revision(t, each.ResourceVersion); at <= last {
			t.Errorf("%s is at revision %d, the database was at %d", each.Name, at, last)
		}
		was := byName[each.Name]
		was.ResourceVersion, each.ResourceVersion = "", ""
		if !reflect.DeepEqual(was, each) {
			t.Errorf("before %v, after %v", was, each)
		}
	}
}

package manifests

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/kubernetes"

	"k8sbuild.dev/distribution/pkg/addons"
	"k8sbuild.dev/distribution/pkg/components/componenttest"
	"k8sbuild.dev/distribution/pkg/config"
	"k8sbuild.dev/distribution/pkg/service"
)

func configMap(name string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + "}\n"
}

func at(name string) string { return "/api/v1/namespaces/default/configmaps/" + name }

const (
	widget = "apiVersion: example.org/v1\nkind: Widget\nmetadata: {name: w, namespace: shop}\n"
	shop   = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n"
	crd    = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: widgets.example.org}\n"
)

// process is a server's, with a manifests directory.
type process struct {
	t     *testing.T
	api   *api
	own   *set
	dir   string
	mu    sync.Mutex
	lines []string
}

func start(t *testing.T, a *api, dir string) *process {
	t.Helper()
	s := &process{t: t, api: a, dir: dir}
	s.own = s.set("manifests-of-test")
	return s
}

func (s *process) set(name string) *set {
	s.t.Helper()
	cluster, err := newCluster(s.api.settings())
	if err != nil {
		s.t.Fatal(err)
	}
	client, err := kubernetes.NewForConfig(s.api.settings())
	if err != nil {
		s.t.Fatal(err)
	}
	return newSet(cluster, client, name, func(reason, message string) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.lines = append(s.lines, reason+": "+message)
	})
}

func (s *process) told() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.lines, "\n")
}

func (s *process) write(name string, documents ...string) {
	s.t.Helper()
	if err := os.WriteFile(filepath.Join(s.dir, name), []byte(strings.Join(documents, "---\n")), 0o600); err != nil {
		s.t.Fatal(err)
	}
}

func (s *process) remove(name string) {
	s.t.Helper()
	if err := os.Remove(filepath.Join(s.dir, name)); err != nil {
		s.t.Fatal(err)
	}
}

// pass makes one pass over the directory.
func (s *process) pass() bool {
	s.t.Helper()
	sources, err := files(s.dir)
	if err != nil {
		s.t.Fatal(err)
	}
	return s.own.pass(s.t.Context(), sources)
}

func (s *process) wants(what string, paths ...string) {
	s.t.Helper()
	if got := s.api.paths(); !slices.Equal(got, paths) {
		s.t.Errorf("%s: there is\n%s\nwant\n%s", what, strings.Join(got, "\n"), strings.Join(paths, "\n"))
	}
}

func TestAppliedEditedPruned(t *testing.T) {
	s := start(t, serve(t), t.TempDir())
	s.write("a.yaml", "# a comment\n", configMap("a"), configMap("b"))
	s.write("c.json", `{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "shop"}}
		{"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "d"}}]}`)
	s.write("d.yaml.off", configMap("off"))
	s.write("e.yml", `{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "f"}}`+"\n",
		"{apiVersion: v1, kind: ConfigMap, metadata: {name: g}}\n")
	if !s.pass() {
		t.Fatal(s.told())
	}
	s.wants("applied", at("a"), at("b"), at("d"), at("f"), at("g"), "/api/v1/namespaces/shop/configmaps/c")
	before := len(s.api.order())
	if !s.pass() || len(s.api.order()) != before {
		t.Error("applied again what has not changed")
	}
	s.write("a.yaml", configMap("a"), configMap("e"))
	if !s.pass() || len(s.api.order()) != before+1 {
		t.Errorf("applied %v", s.api.order()[before:])
	}
	s.wants("edited", at("a"), at("d"), at("e"), at("f"), at("g"), "/api/v1/namespaces/shop/configmaps/c")
	s.remove("c.json")
	if !s.pass() {
		t.Error(s.told())
	}
	s.wants("a file is gone", at("a"), at("e"), at("f"), at("g"))
}

func TestInventorySurvivesARestart(t *testing.T) {
	a, dir := serve(t), t.TempDir()
	s := start(t, a, dir)
	s.write("a.yaml", configMap("a"), configMap("b"))
	s.pass()
	s.remove("a.yaml")
	s = start(t, a, dir)
	if !s.pass() {
		t.Error(s.told())
	}
	s.wants("removed while no server ran")
}

func TestWhatIsNotOursStays(t *testing.T) {
	s := start(t, serve(t), t.TempDir())
	s.write("a.yaml", configMap("a"), configMap("b"), configMap("c"))
	s.pass()
	s.api.edit(at("a"), func(o *unstructured.Unstructured) { o.SetAnnotations(nil) })
	s.api.edit(at("b"), func(o *unstructured.Unstructured) {
		o.SetAnnotations(map[string]string{sourceAnnotation: "other.yaml"})
	})
	s.remove("a.yaml")
	if !s.pass() {
		t.Error(s.told())
	}
	s.wants("what others took over", at("a"), at("b"))
}

func TestObjectMovesToAnotherFile(t *testing.T) {
	s := start(t, serve(t), t.TempDir())
	s.write("a.yaml", configMap("a"), configMap("b"))
	s.pass()
	s.write("a.yaml", configMap("a"))
	s.write("z.yaml", configMap("b"))
	if !s.pass() {
		t.Error(s.told())
	}
	s.wants("moved", at("a"), at("b"))
	s.remove("z.yaml")
	s.pass()
	s.wants("removed from where it went", at("a"))
}

func TestDefinitionsComeFirst(t *testing.T) {
	s := start(t, serve(t), t.TempDir())
	s.write("a.yaml", widget, crd, shop)
	if !s.pass() {
		t.Fatal(s.told())
	}
	const one = "/apis/example.org/v1/namespaces/shop/widgets/w"
	want := []string{definitions + "/widgets.example.org", "/api/v1/namespaces/shop", one}
	if got := s.api.order(); !slices.Equal(got, want) {
		t.Errorf("applied %v", got)
	}
	s.remove("a.yaml")
	if !s.pass() {
		t.Error(s.told())
	}
	s.wants("all of them removed")
}

func TestUnknownKindIsTriedAgain(t *testing.T) {
	s := start(t, serve(t), t.TempDir())
	s.write("a.yaml", configMap("a"), widget)
	for range 2 {
		if s.pass() {
			t.Error("an unknown kind is all done")
		}
	}
	want := `ManifestNotApplied: a.yaml: document 2 (Widget shop/w): no matches for kind "Widget" in version "example.org/v1"`
	if got := s.told(); got != want {
		t.Errorf("told %q, want %q once", got, want)
	}
	s.wants("the others", at("a"))
	s.write("b.yaml", crd)
	if !s.pass() {
		t.Error(s.told())
	}
	// The kind goes, and with it all of them.
	s.remove("b.yaml")
	s.pass()
	s.remove("a.yaml")
	if s = start(t, s.api, s.dir); !s.pass() {
		t.Error(s.told())
	}
	s.wants("nothing left but what went with its kind", "/apis/example.org/v1/namespaces/shop/widgets/w")
}

func TestBadFileKeepsWhatItGave(t *testing.T) {
	s := start(t, serve(t), t.TempDir())
	s.write("a.yaml", configMap("a"))
	s.pass()
	for name, tc := range map[string]struct{ text, want string }{
		"no YAML":      {configMap("a") + "---\na: b: c\n", "a.yaml: document 2: "},
		"a key twice":  {"kind: ConfigMap\nkind: Secret\n", `document 1: error converting YAML to JSON: yaml: unmarshal errors: line 2: key "kind" already set in map`},
		"no name":      {"apiVersion: v1\nkind: ConfigMap\n", "a.yaml: document 1: an object needs apiVersion, kind and metadata.name"},
		"no kind":      {"a: b\n", "a.yaml: document 1: an object needs apiVersion, kind and metadata.name"},
		"in a list":    {"apiVersion: v1\nkind: List\nitems: [{apiVersion: v1, kind: ConfigMap}]\n", "document 1: an object needs"},
		"cut JSON":     {`{"apiVersion": "v1"`, "a.yaml: document 1: error converting YAML to JSON: yaml: line 1: did not find expected ',' or '}'"},
		"no object":    {"- a\n", "a.yaml: document 1: "},
		"twice":        {configMap("a") + "---\n" + configMap("a"), "a.yaml: document 2 (ConfigMap default/a): ConfigMap default/a is there already, in a.yaml"},
		"unknown kind": {"apiVersion: v1\nkind: Nothing\nmetadata: {name: a}\n", `document 1 (Nothing a): no matches for kind "Nothing"`},
	} {
		s.write("a.yaml", tc.text)
		s.lines = nil
		clear(s.own.told)
		if s.pass() || !strings.Contains(s.told(), tc.want) || strings.Contains(s.told(), "\n") {
			t.Errorf("%s: told %q, want %q", name, s.told(), tc.want)
		}
		s.wants(name, at("a"))
	}
	// Two files want one object: the first one has it.
	s.write("a.yaml", configMap("a"))
	s.write("b.yaml", configMap("a"))
	if s.lines = nil; s.pass() || !strings.Contains(s.told(), "b.yaml: document 1 (ConfigMap default/a): ConfigMap default/a is there already, in a.yaml") {
		t.Errorf("told %q", s.told())
	}
}

func TestRefusedChangesAreTriedAgain(t *testing.T) {
	s := start(t, serve(t), t.TempDir())
	s.write("a.yaml", configMap("a"), configMap("b"))
	s.api.refusing("configmaps/b")
	if s.pass() || !strings.Contains(s.told(), "a.yaml: document 2 (ConfigMap default/b): not today") {
		t.Errorf("told %q", s.told())
	}
	s.wants("what was not refused", at("a"))
	s.api.refusing("")
	if !s.pass() {
		t.Error(s.told())
	}
	s.remove("a.yaml")
	s.api.refusing("configmaps/a")
	if s.pass() || !strings.Contains(s.told(), "a.yaml: removal of ConfigMap default/a: not today") {
		t.Errorf("told %q", s.told())
	}
	s.api.refusing("")
	if !s.pass() {
		t.Error(s.told())
	}
	s.wants("removed in the end")
	// Nothing is applied that could be forgotten.
	s.write("c.yaml", configMap("c"))
	s.api.refusing("configmaps/manifests-")
	if s.pass() || !strings.Contains(s.told(), "write the inventory: not today") {
		t.Errorf("told %q", s.told())
	}
	s.wants("without an inventory")
}

func TestInventoryThatCannotBeRead(t *testing.T) {
	a := serve(t)
	s := start(t, a, t.TempDir())
	s.write("a.yaml", configMap("a"))
	s.pass()
	a.edit(inventories+"/manifests-of-test", func(o *unstructured.Unstructured) { o.Object["data"] = map[string]any{appliedKey: "{"} })
	s = start(t, a, s.dir)
	if s.pass() || !strings.Contains(s.told(), "read the inventory, ConfigMap kube-system/manifests-of-test") {
		t.Errorf("told %q", s.told())
	}
	a.Close()
	if s.pass() {
		t.Error("all done without a server")
	}
}

func TestDirectoryIsWatched(t *testing.T) {
	s := start(t, serve(t), filepath.Join(t.TempDir(), "manifests"))
	parsed, err := parse([]byte(configMap("packaged")))
	if err != nil {
		t.Fatal(err)
	}
	k := &keeper{
		dir: s.dir, set: s.own, retry: 10 * time.Millisecond,
		addons: []source{{name: "addon", objects: parsed}},
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- k.keep(ctx) }()
	there := func(what string, paths ...string) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); !slices.Equal(s.api.paths(), paths); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: there is %v", what, s.api.paths())
			}
		}
	}
	there("the add-on", at("packaged"))
	s.write("a.yaml", configMap("a"))
	there("a file that comes", at("a"), at("packaged"))
	s.api.refusing("configmaps/b")
	s.write("a.yaml", configMap("b"))
	for !strings.Contains(s.told(), "not today") {
		time.Sleep(time.Millisecond)
	}
	s.api.refusing("")
	there("a change that was refused at first", at("b"), at("packaged"))
	s.remove("a.yaml")
	there("a file that goes", at("packaged"))
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := os.RemoveAll(s.dir); err != nil {
		t.Fatal(err)
	}
	if k.pass(t.Context()) {
		t.Error("all done without a directory")
	}
}

func TestService(t *testing.T) {
	cfg := componenttest.Configuration(t, config.Single)
	s, err := New(cfg)
	if err != nil || s.Name() != Name || s.Ready(t.Context()) != nil {
		t.Fatal(s, err)
	}
	if err := s.(*service.Runner).Run(t.Context()); err == nil || !strings.Contains(err.Error(), "kubeconfig") {
		t.Errorf("got %v", err)
	}
	Register()
}

func TestPackaged(t *testing.T) {
	cfg := componenttest.Configuration(t, config.Single)
	for name, text := range map[string]string{"good": configMap("a"), "bad": "a: b\n"} {
		addons.Register(addons.Addon{Name: name, Render: func(*config.Config) ([]byte, error) { return []byte(text), nil }})
	}
	addons.Register(addons.Addon{Name: "ugly", Render: func(*config.Config) ([]byte, error) { return nil, fmt.Errorf("no address") }})
	for _, tc := range []struct {
		disable []string
		err     string
	}{
		{[]string{"ugly"}, "add-on bad: document 1: "}, {[]string{"bad"}, "add-on ugly: no address"}, {[]string{"bad", "ugly"}, ""},
	} {
		cfg.Disable = tc.disable
		got, err := packaged(cfg)
		if (err == nil) != (tc.err == "") || err != nil && !strings.HasPrefix(err.Error(), tc.err) || err == nil && (len(got) != 1 || got[0].name != "good") {
			t.Errorf("%v: got %v, %v", tc.disable, got, err)
		}
	}
}

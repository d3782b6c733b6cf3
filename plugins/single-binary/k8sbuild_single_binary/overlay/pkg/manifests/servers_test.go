package manifests

import (
	"encoding/json"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// serverOf is one of several of a cluster, with a manifests directory of its own.
func serverOf(t *testing.T, a *api, name string) *process {
	t.Helper()
	s := &process{t: t, api: a, dir: t.TempDir()}
	s.own = s.set("manifests-of-" + name)
	return s
}

func (s *process) passes() {
	s.t.Helper()
	if !s.pass() {
		s.t.Error(s.told())
	}
}

// An object goes when the last of those that brought it removes it, whichever
// that is.
func TestServersHaveDifferentAddons(t *testing.T) {
	a := serve(t)
	one, two := serverOf(t, a, "one"), serverOf(t, a, "two")
	one.write("dns.yaml", configMap("dns"), configMap("zones"))
	one.passes()
	two.write("metrics.yaml", configMap("metrics"))
	two.passes()
	one.wants("each brings its own", at("dns"), at("metrics"), at("zones"))
	two.write("dns.yaml", configMap("dns"))
	two.passes()
	two.remove("dns.yaml")
	two.passes()
	one.wants("one brings it still", at("dns"), at("metrics"), at("zones"))
	two.write("dns.yaml", configMap("dns"))
	two.passes()
	one.remove("dns.yaml")
	one.passes()
	one.wants("two brings it now", at("dns"), at("metrics"))
	two.remove("dns.yaml")
	two.passes()
	one.wants("the last one has removed it", at("metrics"))
}

func TestBothRemove(t *testing.T) {
	a := serve(t)
	one, two := serverOf(t, a, "one"), serverOf(t, a, "two")
	for _, s := range []*process{one, two} {
		s.write("dns.yaml", configMap("dns"))
		s.passes()
		s.remove("dns.yaml")
	}
	// Both have noted it before either looks at the other.
	two.own.inventory.removing = two.own.inventory.of["dns.yaml"]
	if err := two.own.inventory.write(t.Context()); err != nil {
		t.Fatal(err)
	}
	one.passes()
	one.wants("nobody wants it")
	two.passes()
}

func TestWhatIsBeingRemovedIsAppliedLater(t *testing.T) {
	a := serve(t)
	one, two := serverOf(t, a, "one"), serverOf(t, a, "two")
	one.write("dns.yaml", configMap("dns"))
	one.passes()
	one.own.inventory.removing = one.own.inventory.of["dns.yaml"]
	if err := one.own.inventory.write(t.Context()); err != nil {
		t.Fatal(err)
	}
	two.write("dns.yaml", configMap("dns"))
	const why = "dns.yaml: document 1 (ConfigMap default/dns): another server is removing it, which manifests-of-one tells of"
	if two.pass() || !strings.Contains(two.told(), why) {
		t.Errorf("told %q", two.told())
	}
	// One sees that two wants it, or has removed it: either way it is there in the end.
	one.remove("dns.yaml")
	one.passes()
	two.passes()
	two.wants("applied when it was not being removed", at("dns"))
	two.remove("dns.yaml")
	two.passes()
	two.wants("two's alone")
}

// Two servers of one host name, or somebody's kubectl: nothing is overwritten.
func TestInventoryThatSomebodyElseWrote(t *testing.T) {
	a := serve(t)
	one, twin := serverOf(t, a, "one"), serverOf(t, a, "one")
	one.write("a.yaml", configMap("a"))
	one.passes()
	twin.write("a.yaml", configMap("a"))
	twin.write("b.yaml", configMap("b"))
	twin.passes()
	one.write("c.yaml", configMap("c"))
	if one.pass() || !strings.Contains(one.told(), "write the inventory: has changed") {
		t.Errorf("told %q", one.told())
	}
	one.wants("nothing is applied that could be forgotten", at("a"), at("b"))
	one.write("b.yaml", configMap("b"))
	one.passes()
	one.wants("the next pass knows of both", at("a"), at("b"), at("c"))
	one.remove("b.yaml")
	one.passes()
	one.wants("what it read is removed too", at("a"), at("c"))

	fresh := serverOf(t, a, "fresh")
	fresh.write("d.yaml", configMap("d"))
	if !fresh.own.begin(t.Context()) {
		t.Fatal(fresh.told())
	}
	a.edit(inventories+"/manifests-of-one", func(o *unstructured.Unstructured) {
		other := o.DeepCopy()
		other.SetName("manifests-of-fresh")
		a.objects[inventories+"/manifests-of-fresh"] = other.Object
	})
	if fresh.pass() || !strings.Contains(fresh.told(), "write the inventory: is there") {
		t.Errorf("told %q", fresh.told())
	}
}

// The only server of a cluster has had another name.
func TestInventoriesOfFormerNamesAreTakenOver(t *testing.T) {
	a := serve(t)
	former := serverOf(t, a, "former")
	former.write("a.yaml", configMap("a"), configMap("b"))
	former.passes()
	s := serverOf(t, a, "now")
	s.own.alone = true
	s.write("a.yaml", configMap("a"))
	s.passes()
	s.wants("what the file has no more is removed", at("a"))
	list, err := json.Marshal(a.labelled())
	if err != nil || strings.Contains(string(list), "manifests-of-former") {
		t.Errorf("%s is left, %v", list, err)
	}
	// Of several, each keeps its own.
	other := serverOf(t, a, "other")
	other.passes()
	other.wants("not its own", at("a"))
}

func TestInventoryOfAnotherThatCannotBeRead(t *testing.T) {
	a := serve(t)
	one, two := serverOf(t, a, "one"), serverOf(t, a, "two")
	two.write("b.yaml", configMap("b"))
	two.passes()
	a.edit(inventories+"/manifests-of-two", func(o *unstructured.Unstructured) { o.Object["data"] = map[string]any{removingKey: "{"} })
	one.write("a.yaml", configMap("a"))
	const why = "read the inventory, ConfigMap kube-system/manifests-of-two: removing: "
	if one.pass() || !strings.Contains(one.told(), why) {
		t.Errorf("told %q", one.told())
	}
	one.own.alone, one.own.inventory.of = true, nil
	if one.pass() {
		t.Error("all done with an inventory that cannot be read")
	}
}

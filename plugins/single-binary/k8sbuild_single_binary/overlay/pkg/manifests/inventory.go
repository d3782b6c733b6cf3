package manifests

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
)

// namespace is where inventories are.
const namespace = metav1.NamespaceSystem

// id names an object in the cluster.
type id struct {
	Group     string `json:"group,omitempty"`
	Version   string `json:"version"`
	Kind      string `json:"kind"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name"`
}

func idOf(o *unstructured.Unstructured) id {
	kind := o.GroupVersionKind()
	return id{kind.Group, kind.Version, kind.Kind, o.GetNamespace(), o.GetName()}
}

func (i id) kind() schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: i.Group, Version: i.Version, Kind: i.Kind}
}

// same says whether both name one object: its version may have changed.
func (i id) same(other id) bool {
	i.Version = other.Version
	return i == other
}

func (i id) String() string {
	if i.Namespace == "" {
		return i.Kind + " " + i.Name
	}
	return i.Kind + " " + i.Namespace + "/" + i.Name
}

func has(ids []id, one id) bool { return slices.ContainsFunc(ids, one.same) }

// inventory is what a server has applied, by source. It is kept in the cluster,
// as what it tells of is: a copy of the one has the other.
//
// Each server of a cluster writes one, and reads all. An object that several
// have applied goes when the last of them removes it. Who is about to delete an
// object notes that and then looks whether another has it; who is about to apply
// one notes that and then looks whether another is deleting it. So at least one
// of two that are at it at the same time sees the other.
type inventory struct {
	maps     typedcorev1.ConfigMapInterface
	name     string
	of       map[string][]id // nil: not read, or to be read again
	removing []id
	kept     *corev1.ConfigMap // as it is in the cluster, nil if it is not there
}

// The keys of the ConfigMap's data.
const (
	appliedKey  = "applied"
	removingKey = "removing"
)

// label is that of the ConfigMaps with inventories.
const label = "k8sbuild.dev/inventory"

// read gets what was applied at earlier starts.
func (i *inventory) read(ctx context.Context) error {
	found, err := i.maps.Get(ctx, i.name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		i.of, i.removing, i.kept = map[string][]id{}, nil, nil
		return nil
	} else if err != nil {
		return fmt.Errorf("read the inventory: %w", err)
	}
	read, err := inventoryOf(found)
	if err == nil {
		i.of, i.removing, i.kept = read.of, read.removing, found
	}
	return err
}

func inventoryOf(found *corev1.ConfigMap) (*inventory, error) {
	i := &inventory{name: found.Name, of: map[string][]id{}, kept: found}
	for key, into := range map[string]any{appliedKey: &i.of, removingKey: &i.removing} {
		if err := json.Unmarshal([]byte(cmp.Or(found.Data[key], "null")), into); err != nil {
			return nil, fmt.Errorf("read the inventory, ConfigMap %s/%s: %s: %w", namespace, found.Name, key, err)
		}
	}
	if i.of == nil {
		i.of = map[string][]id{}
	}
	return i, nil
}

// others are the inventories of the cluster's other servers.
func (i *inventory) others(ctx context.Context) ([]*inventory, error) {
	list, err := i.maps.List(ctx, metav1.ListOptions{LabelSelector: label})
	if err != nil {
		return nil, fmt.Errorf("read the inventories of other servers: %w", err)
	}
	var others []*inventory
	for n := range list.Items {
		if list.Items[n].Name == i.name {
			continue
		}
		other, err := inventoryOf(&list.Items[n])
		if err != nil {
			return nil, err
		}
		others = append(others, other)
	}
	return others, nil
}

// inherit takes over all other inventories: those of the only server of a
// cluster, under other host names.
func (i *inventory) inherit(ctx context.Context) error {
	others, err := i.others(ctx)
	if err != nil {
		return err
	}
	for _, other := range others {
		for source, ids := range other.of {
			for _, one := range ids {
				i.add(source, one)
			}
		}
	}
	if err := i.write(ctx); err != nil {
		return err
	}
	for _, other := range others {
		if err := i.maps.Delete(ctx, other.name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("remove the inventory %s: %w", other.name, err)
		}
	}
	return nil
}

// write keeps the inventory, if it has changed. If somebody else has written it,
// another server with the same host name, it is to be read again.
func (i *inventory) write(ctx context.Context) error {
	data, err := i.data()
	if err != nil || i.kept == nil && len(i.of) == 0 || i.kept != nil && maps.Equal(data, i.kept.Data) {
		return err
	}
	var now *corev1.ConfigMap
	if i.kept == nil {
		wanted := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: i.name, Labels: map[string]string{label: ""}}, Data: data}
		now, err = i.maps.Create(ctx, wanted, metav1.CreateOptions{FieldManager: manager})
	} else {
		wanted := i.kept.DeepCopy() // with its resourceVersion
		wanted.Data = data
		now, err = i.maps.Update(ctx, wanted, metav1.UpdateOptions{FieldManager: manager})
	}
	if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) || apierrors.IsNotFound(err) {
		i.of = nil
	}
	if err != nil {
		return fmt.Errorf("write the inventory: %w", err)
	}
	i.kept = now
	return nil
}

func (i *inventory) data() (map[string]string, error) {
	applied, err := json.Marshal(i.of)
	if err != nil {
		return nil, err
	}
	data := map[string]string{appliedKey: string(applied)}
	if len(i.removing) > 0 {
		removing, err := json.Marshal(i.removing)
		if err != nil {
			return nil, err
		}
		data[removingKey] = string(removing)
	}
	return data, nil
}

// add notes an object before it is applied, so that it is never forgotten. It
// is of one source: the last one.
func (i *inventory) add(source string, one id) {
	if has(i.of[source], one) {
		return
	}
	for _, other := range i.sources() {
		i.drop(other, one)
	}
	i.of[source] = append(i.of[source], one)
}

// drop forgets an object that a source gave, and the source with its last one.
func (i *inventory) drop(source string, one id) {
	if i.of[source] = slices.DeleteFunc(i.of[source], one.same); len(i.of[source]) == 0 {
		delete(i.of, source)
	}
	i.removing = slices.DeleteFunc(i.removing, one.same)
}

// holds says whether an object is some source's, and is not being removed.
func (i *inventory) holds(one id) bool {
	for _, ids := range i.of {
		if has(ids, one) {
			return !has(i.removing, one)
		}
	}
	return false
}

func (i *inventory) sources() []string { return slices.Sorted(maps.Keys(i.of)) }

// who is the first of the inventories of which something is so.
func who(all []*inventory, is func(*inventory) bool) string {
	if n := slices.IndexFunc(all, is); n >= 0 {
		return all[n].name
	}
	return ""
}

package manifests

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

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

// inventory is what was applied, by source. It is kept in the cluster, as what
// it tells of is: a copy of the one has the other.
type inventory struct {
	maps typedcorev1.ConfigMapInterface
	name string
	of   map[string][]id
	kept string // its text in the cluster
}

// key is that of the ConfigMap's data.
const key = "applied"

// read gets what was applied at earlier starts.
func (i *inventory) read(ctx context.Context) error {
	i.of = map[string][]id{}
	found, err := i.maps.Get(ctx, i.name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	} else if err != nil {
		return fmt.Errorf("read the inventory: %w", err)
	}
	i.kept = found.Data[key]
	if err := json.Unmarshal([]byte(i.kept), &i.of); err != nil {
		return fmt.Errorf("read the inventory, ConfigMap %s/%s: %w", namespace, i.name, err)
	}
	return nil
}

// write keeps the inventory, if it has changed.
func (i *inventory) write(ctx context.Context) error {
	text, err := json.Marshal(i.of)
	if err != nil || string(text) == i.kept || i.kept == "" && len(i.of) == 0 {
		return err
	}
	wanted := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: i.name}, Data: map[string]string{key: string(text)}}
	_, err = i.maps.Update(ctx, wanted, metav1.UpdateOptions{FieldManager: manager})
	if apierrors.IsNotFound(err) {
		_, err = i.maps.Create(ctx, wanted, metav1.CreateOptions{FieldManager: manager})
	}
	if err != nil {
		return fmt.Errorf("write the inventory: %w", err)
	}
	i.kept = string(text)
	return nil
}

// add notes an object before it is applied, so that it is never forgotten.
func (i *inventory) add(source string, one id) {
	if !has(i.of[source], one) {
		i.of[source] = append(i.of[source], one)
	}
}

func (i *inventory) sources() []string {
	var names []string
	for name := range i.of {
		names = append(names, name)
	}
	slices.SortFunc(names, strings.Compare)
	return names
}

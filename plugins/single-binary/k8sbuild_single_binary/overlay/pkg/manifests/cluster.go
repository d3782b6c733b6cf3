package manifests

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
)

// manager is who applies: fields that it has set and that a manifest no longer
// names are removed.
const manager = "k8s-manifests"

// sourceAnnotation says of which source an object is. Without it, an object is
// not ours to delete.
const sourceAnnotation = "k8sbuild.dev/manifest"

// mapper knows the kinds of the cluster, and can look again.
type mapper interface {
	meta.RESTMapper
	Reset()
}

// cluster applies and deletes objects.
type cluster struct {
	objects dynamic.Interface
	kinds   mapper
}

func newCluster(settings *rest.Config) (*cluster, error) {
	objects, err := dynamic.NewForConfig(settings)
	if err != nil {
		return nil, fmt.Errorf("make client: %w", err)
	}
	kinds, err := discovery.NewDiscoveryClientForConfig(settings)
	if err != nil {
		return nil, fmt.Errorf("make client: %w", err)
	}
	return &cluster{objects, restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(kinds))}, nil
}

// place finds where objects of a kind are.
func (c *cluster) place(kind schema.GroupVersionKind, in string) (dynamic.ResourceInterface, bool, error) {
	mapping, err := c.kinds.RESTMapping(kind.GroupKind(), kind.Version)
	if err != nil {
		return nil, false, err
	}
	if mapping.Scope.Name() == meta.RESTScopeNameRoot {
		return c.objects.Resource(mapping.Resource), false, nil
	}
	return c.objects.Resource(mapping.Resource).Namespace(in), true, nil
}

// qualify gives an object of a kind with namespaces the one that it leaves out,
// and takes it from others.
func (c *cluster) qualify(o *unstructured.Unstructured) error {
	_, namespaced, err := c.place(o.GroupVersionKind(), "")
	switch {
	case err != nil:
		return err
	case !namespaced:
		o.SetNamespace("")
	case o.GetNamespace() == "":
		o.SetNamespace(metav1.NamespaceDefault)
	}
	return nil
}

// apply makes an object what it should be.
func (c *cluster) apply(ctx context.Context, source string, o *unstructured.Unstructured) error {
	place, _, err := c.place(o.GroupVersionKind(), o.GetNamespace())
	if err != nil {
		return err
	}
	marked := o.DeepCopy()
	annotations := marked.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[sourceAnnotation] = source
	marked.SetAnnotations(annotations)
	_, err = place.Apply(ctx, marked.GetName(), marked, metav1.ApplyOptions{FieldManager: manager, Force: true})
	return err
}

// remove deletes an object, if it is still that source's.
func (c *cluster) remove(ctx context.Context, source string, one id) error {
	place, _, err := c.place(one.kind(), one.Namespace)
	if meta.IsNoMatchError(err) {
		return nil // its kind is gone, and with it all of them
	} else if err != nil {
		return err
	}
	found, err := place.Get(ctx, one.Name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	} else if err != nil {
		return err
	}
	if found.GetAnnotations()[sourceAnnotation] != source {
		return nil
	}
	uid, background := found.GetUID(), metav1.DeletePropagationBackground
	err = place.Delete(ctx, one.Name, metav1.DeleteOptions{
		Preconditions: &metav1.Preconditions{UID: &uid}, PropagationPolicy: &background,
	})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return err
}

package manifests

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strings"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
)

// api is as much of an API server as manifests need: it stores what is applied,
// by path, and serves the kind Widget from when it is defined.
type api struct {
	*httptest.Server
	mu      sync.Mutex
	objects map[string]map[string]any
	applied []string // paths, in order
	refuse  string   // part of the paths that it refuses to change
	uids    int
}

const inventories = "/api/v1/namespaces/kube-system/configmaps"

const definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"

func serve(t *testing.T) *api {
	t.Helper()
	a := &api{objects: map[string]map[string]any{}}
	a.Server = httptest.NewServer(a)
	t.Cleanup(a.Close)
	return a
}

func (a *api) settings() *rest.Config { return &rest.Config{Host: a.URL, QPS: 1000, Burst: 1000} }

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if found := a.discovery(r.URL.Path); found != nil {
		answer(w, http.StatusOK, found)
		return
	}
	if r.Method == http.MethodGet && r.URL.Path == inventories && r.URL.Query().Get("labelSelector") == label {
		answer(w, http.StatusOK, a.labelled())
		return
	}
	body, _ := io.ReadAll(r.Body)
	if r.Method != http.MethodGet && a.refuse != "" && strings.Contains(r.URL.Path, a.refuse) {
		answer(w, http.StatusForbidden, failure(http.StatusForbidden, metav1.StatusReasonForbidden, "not today"))
		return
	}
	a.change(w, r, body)
}

func (a *api) change(w http.ResponseWriter, r *http.Request, body []byte) {
	at := r.URL.Path
	object, there := a.objects[at]
	switch {
	case r.Method == http.MethodPost:
		at = path.Join(at, named(body))
		if a.objects[at] != nil {
			answer(w, http.StatusConflict, failure(http.StatusConflict, metav1.StatusReasonAlreadyExists, "is there"))
			return
		}
		object, there = a.put(at, body), true
	case r.Method == http.MethodPatch && r.Header.Get("Content-Type") == "application/apply-patch+yaml" && r.URL.Query().Get("force") == "true":
		a.applied = append(a.applied, at)
		object, there = a.put(at, body), true
	case r.Method == http.MethodPut && there:
		if v := versionIn(body); v != "" && v != (&unstructured.Unstructured{Object: object}).GetResourceVersion() {
			answer(w, http.StatusConflict, failure(http.StatusConflict, metav1.StatusReasonConflict, "has changed"))
			return
		}
		object = a.put(at, body)
	case r.Method == http.MethodDelete && there:
		if uid := asked(body); uid != "" && uid != (&unstructured.Unstructured{Object: object}).GetUID() {
			answer(w, http.StatusConflict, failure(http.StatusConflict, metav1.StatusReasonConflict, "another one"))
			return
		}
		delete(a.objects, at)
	}
	if !there {
		answer(w, http.StatusNotFound, failure(http.StatusNotFound, metav1.StatusReasonNotFound, at+" not found"))
		return
	}
	answer(w, http.StatusOK, object)
}

func (a *api) put(at string, body []byte) map[string]any {
	o := &unstructured.Unstructured{}
	if err := json.Unmarshal(body, &o.Object); err != nil {
		panic(err)
	}
	a.uids++
	o.SetUID(types.UID(fmt.Sprint(a.uids)))
	o.SetResourceVersion(fmt.Sprint(a.uids))
	a.objects[at] = o.Object
	return o.Object
}

func named(body []byte) string { return parsed(body).GetName() }

func versionIn(body []byte) string { return parsed(body).GetResourceVersion() }

func parsed(body []byte) *unstructured.Unstructured {
	o := &unstructured.Unstructured{}
	_ = json.Unmarshal(body, &o.Object)
	return o
}

// labelled are the ConfigMaps with the label of inventories.
func (a *api) labelled() map[string]any {
	items := []any{}
	for _, at := range slices.Sorted(maps.Keys(a.objects)) {
		o := &unstructured.Unstructured{Object: a.objects[at]}
		if _, is := o.GetLabels()[label]; is && path.Dir(at) == inventories {
			items = append(items, o.Object)
		}
	}
	return map[string]any{"apiVersion": "v1", "kind": "ConfigMapList", "items": items}
}

// asked is the UID that a deletion is for.
func asked(body []byte) types.UID {
	var options metav1.DeleteOptions
	if json.Unmarshal(body, &options) != nil || options.Preconditions == nil || options.Preconditions.UID == nil {
		return ""
	}
	return *options.Preconditions.UID
}

func (a *api) discovery(at string) any {
	kinds := map[string][]metav1.APIResource{
		"v1": {
			{Name: "configmaps", Kind: "ConfigMap", Namespaced: true, Verbs: metav1.Verbs{"get"}},
			{Name: "namespaces", Kind: "Namespace", Verbs: metav1.Verbs{"get"}},
		},
		"apiextensions.k8s.io/v1": {{Name: "customresourcedefinitions", Kind: "CustomResourceDefinition", Verbs: metav1.Verbs{"get"}}},
	}
	if a.objects[definitions+"/widgets.example.org"] != nil {
		kinds["example.org/v1"] = []metav1.APIResource{{Name: "widgets", Kind: "Widget", Namespaced: true, Verbs: metav1.Verbs{"get"}}}
	}
	switch at {
	case "/api":
		return metav1.APIVersions{Versions: []string{"v1"}}
	case "/apis":
		list := metav1.APIGroupList{}
		for _, name := range slices.Sorted(maps.Keys(kinds)) {
			if group, version, grouped := strings.Cut(name, "/"); grouped {
				v := metav1.GroupVersionForDiscovery{GroupVersion: name, Version: version}
				list.Groups = append(list.Groups, metav1.APIGroup{Name: group, Versions: []metav1.GroupVersionForDiscovery{v}, PreferredVersion: v})
			}
		}
		return list
	}
	group := strings.TrimPrefix(strings.TrimPrefix(at, "/apis/"), "/api/")
	if found := kinds[group]; found != nil {
		return metav1.APIResourceList{GroupVersion: group, APIResources: found}
	}
	return nil
}

// paths are those of all objects but the inventories.
func (a *api) paths() (found []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for at := range a.objects {
		if !strings.HasPrefix(at, inventories+"/manifests-") {
			found = append(found, at)
		}
	}
	slices.Sort(found)
	return found
}

// edit edits an object as somebody else would.
func (a *api) edit(at string, edit func(*unstructured.Unstructured)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	edit(&unstructured.Unstructured{Object: a.objects[at]})
}

func (a *api) refusing(part string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refuse = part
}

func (a *api) order() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.applied)
}

func failure(code int32, reason metav1.StatusReason, message string) metav1.Status {
	return metav1.Status{
		TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: metav1.StatusFailure,
		Code: code, Reason: reason, Message: message,
	}
}

func answer(w http.ResponseWriter, code int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(value)
}

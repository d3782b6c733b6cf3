package apiserver

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	genericapiserver "k8s.io/apiserver/pkg/server"
	"k8s.io/client-go/rest"
	rbacrest "k8s.io/kubernetes/pkg/registry/rbac/rest"
	schedulingrest "k8s.io/kubernetes/pkg/registry/scheduling/rest"
)

// bootstrap runs a hook against a server that never answers. begun and ended
// get a value for each request.
func bootstrap(t *testing.T, hook genericapiserver.PostStartHookFunc) (begun, ended chan struct{}) {
	t.Helper()
	begun, ended = make(chan struct{}, 1000), make(chan struct{}, 1000)
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		begun <- struct{}{}
		<-r.Context().Done()
		ended <- struct{}{}
	}))
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	settings := &rest.Config{Host: s.URL}
	go func() {
		_ = hook(genericapiserver.PostStartHookContext{LoopbackClientConfig: settings, Context: t.Context()})
	}()
	return begun, ended
}

func TestBootstrapBeginsAtOnce(t *testing.T) {
	for name, hook := range map[string]genericapiserver.PostStartHookFunc{
		"roles":            (&rbacrest.PolicyData{}).EnsureRBACPolicy(),
		"priority classes": schedulingrest.AddSystemPriorityClasses(),
	} {
		begun, _ := bootstrap(t, hook)
		select {
		case <-begun:
		case <-time.After(800 * time.Millisecond):
			t.Errorf("the bootstrap of %s waits before its first try", name)
		}
	}
}

func TestBootstrapRequestsEnd(t *testing.T) {
	_, ended := bootstrap(t, (&rbacrest.PolicyData{}).EnsureRBACPolicy())
	select {
	case <-ended:
	case <-time.After(8 * time.Second):
		t.Error("a request without an answer goes on")
	}
}

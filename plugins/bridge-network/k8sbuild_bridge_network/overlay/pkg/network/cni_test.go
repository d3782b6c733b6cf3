package network

import (
	"encoding/json"
	"reflect"
	"testing"
)

func TestConflist(t *testing.T) {
	for _, tc := range []struct {
		pods   []string
		ranges string
	}{
		{[]string{"10.42.3.0/24"}, `[[{"subnet": "10.42.3.0/24", "gateway": "10.42.3.1"}]]`},
		{[]string{"fd00:42::/64"}, `[[{"subnet": "fd00:42::/64", "gateway": "fd00:42::1"}]]`},
		{[]string{"10.42.3.0/24", "fd00:42::/64"},
			`[[{"subnet": "10.42.3.0/24", "gateway": "10.42.3.1"}], [{"subnet": "fd00:42::/64", "gateway": "fd00:42::1"}]]`},
	} {
		text, err := conflist(prefixes(tc.pods...), 1400, "/data/addresses")
		must(t, err)
		want := `{"cniVersion": "1.0.0", "name": "k8s", "plugins": [
			{"type": "bridge", "bridge": "k8s0", "mtu": 1400, "isDefaultGateway": true, "hairpinMode": true, "ipMasq": false,
			 "ipam": {"type": "host-local", "dataDir": "/data/addresses", "ranges": ` + tc.ranges + `}},
			{"type": "portmap", "capabilities": {"portMappings": true}}]}`
		if !reflect.DeepEqual(parsed(t, string(text)), parsed(t, want)) {
			t.Errorf("%v: got %s", tc.pods, text)
		}
	}
}

func parsed(t *testing.T, text string) (value any) {
	t.Helper()
	must(t, json.Unmarshal([]byte(text), &value))
	return value
}

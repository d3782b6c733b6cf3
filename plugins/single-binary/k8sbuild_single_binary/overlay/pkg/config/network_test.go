package config

import "testing"

func TestNetwork(t *testing.T) {
	for _, tc := range []struct {
		args  []string
		built []string
		want  string
		err   string
	}{
		{nil, nil, "none", ""},
		{nil, []string{"bridge"}, "bridge", ""},
		{[]string{"--network=none"}, []string{"bridge"}, "none", ""},
		{[]string{"--container-runtime-endpoint=/run/a.sock"}, []string{"bridge"}, "none", ""},
		{[]string{"--container-runtime-endpoint=/run/a.sock", "--network=bridge"}, []string{"bridge"}, "bridge", ""},
		{nil, []string{"bridge", "mesh"}, "", "--network: several are built into this binary, choose bridge or mesh or none"},
		{[]string{"--network=mesh"}, []string{"bridge", "mesh"}, "mesh", ""},
		{[]string{"--network=mesh"}, []string{"bridge"}, "", "--network=mesh: not built into this binary, there is bridge or none"},
		{[]string{"--network=bridge"}, nil, "", "--network=bridge: not built into this binary, there is none"},
		{[]string{"--network=nope", "--disable-agent"}, []string{"bridge"}, "", "--network=nope: not built into this binary, there is bridge or none"},
		{[]string{"--disable-agent"}, []string{"bridge", "mesh"}, "", ""},
	} {
		c := parsed(t, append([]string{"--disable-agent=false", "--node-ip=192.0.2.7", "--node-name=n"}, tc.args...)...)
		c.Networks = tc.built
		err := c.Complete()
		if tc.err != "" && (err == nil || err.Error() != tc.err) || tc.err == "" && (err != nil || c.Network != tc.want) {
			t.Errorf("%v with %v: got %q, %v", tc.args, tc.built, c.Network, err)
		}
	}
}

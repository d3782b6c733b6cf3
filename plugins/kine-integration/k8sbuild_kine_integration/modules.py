"""Modules that Kine raises and that are kept at other versions.

Found by building all five components with each Kine from v0.16.4 to v0.17.5; what is
left raised is ``golang.org/x/sys``, whose newer ``unix.MmapPtr`` the pure-Go SQLite
driver needs, and ``golang.org/x/tools``, which is not linked.
"""

from __future__ import annotations

__all__ = ["LOWERED", "UNLINKED"]

#: Drivers that are not linked, whose newer versions not every module proxy has; this is what Kine v0.16.4 requires.
UNLINKED: tuple[tuple[str, str], ...] = (("github.com/t4db/t4", "v1.0.5"),)

#: The versions of Kubernetes 1.31's go.mod.
LOWERED: tuple[tuple[str, str], ...] = (
    ("github.com/coreos/go-systemd/v22", "v22.5.0"),
    ("github.com/cpuguy83/go-md2man/v2", "v2.0.4"),
    ("github.com/dustin/go-humanize", "v1.0.1"),
    ("github.com/emicklei/go-restful/v3", "v3.11.0"),
    ("github.com/fxamacker/cbor/v2", "v2.7.0"),
    ("github.com/go-logr/logr", "v1.4.2"),
    ("github.com/go-openapi/jsonpointer", "v0.19.6"),
    ("github.com/go-openapi/jsonreference", "v0.20.2"),
    ("github.com/go-openapi/swag", "v0.22.4"),
    ("github.com/google/btree", "v1.0.1"),
    ("github.com/google/cel-go", "v0.20.1"),
    ("github.com/google/gnostic-models", "v0.6.8"),
    ("github.com/google/go-cmp", "v0.6.0"),
    ("github.com/google/pprof", "v0.0.0-20240525223248-4bfdf5a9a2af"),
    ("github.com/gorilla/websocket", "v1.5.0"),
    ("github.com/grpc-ecosystem/grpc-gateway/v2", "v2.20.0"),
    ("github.com/jonboulle/clockwork", "v0.2.2"),
    ("github.com/modern-go/reflect2", "v1.0.2"),
    ("github.com/prometheus/client_golang", "v1.19.1"),
    ("github.com/prometheus/client_model", "v0.6.1"),
    ("github.com/prometheus/common", "v0.55.0"),
    ("github.com/prometheus/procfs", "v0.15.1"),
    ("github.com/sirupsen/logrus", "v1.9.3"),
    ("github.com/spf13/cobra", "v1.8.1"),
    ("github.com/spf13/pflag", "v1.0.5"),
    ("github.com/stoewer/go-strcase", "v1.2.0"),
    ("github.com/stretchr/testify", "v1.9.0"),
    ("github.com/xiang90/probing", "v0.0.0-20190116061207-43a291ad63a2"),
    ("go.etcd.io/bbolt", "v1.3.9"),
    ("go.etcd.io/etcd/api/v3", "v3.5.14"),
    ("go.etcd.io/etcd/client/pkg/v3", "v3.5.14"),
    ("go.etcd.io/etcd/client/v3", "v3.5.14"),
    ("go.etcd.io/etcd/pkg/v3", "v3.5.13"),
    ("go.etcd.io/etcd/server/v3", "v3.5.13"),
    ("go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc", "v0.53.0"),
    ("go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp", "v0.53.0"),
    ("go.opentelemetry.io/otel", "v1.28.0"),
    ("go.opentelemetry.io/otel/exporters/otlp/otlptrace", "v1.28.0"),
    ("go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc", "v1.27.0"),
    ("go.opentelemetry.io/otel/metric", "v1.28.0"),
    ("go.opentelemetry.io/otel/sdk", "v1.28.0"),
    ("go.opentelemetry.io/otel/trace", "v1.28.0"),
    ("go.opentelemetry.io/proto/otlp", "v1.3.1"),
    ("go.uber.org/zap", "v1.26.0"),
    ("golang.org/x/crypto", "v0.24.0"),
    ("golang.org/x/exp", "v0.0.0-20230515195305-f3d0a9c9a5cc"),
    ("golang.org/x/mod", "v0.17.0"),
    ("golang.org/x/net", "v0.26.0"),
    ("golang.org/x/oauth2", "v0.21.0"),
    ("golang.org/x/sync", "v0.7.0"),
    # Not Kubernetes' own, which has no unix.MmapPtr; one for all releases of Kine.
    ("golang.org/x/sys", "v0.47.0"),
    ("golang.org/x/term", "v0.21.0"),
    ("golang.org/x/text", "v0.16.0"),
    ("golang.org/x/time", "v0.3.0"),
    # The oldest one that Go 1.25 compiles; only Kubernetes' generators use it.
    ("golang.org/x/tools", "v0.24.1"),
    ("google.golang.org/genproto/googleapis/api", "v0.0.0-20240528184218-531527333157"),
    ("google.golang.org/genproto/googleapis/rpc", "v0.0.0-20240701130421-f6361c86f094"),
    ("google.golang.org/grpc", "v1.65.0"),
    ("google.golang.org/protobuf", "v1.34.2"),
    ("gopkg.in/evanphx/json-patch.v4", "v4.12.0"),
    ("k8s.io/klog/v2", "v2.130.1"),
    ("k8s.io/kube-openapi", "v0.0.0-20240228011516-70dd3763d340"),
    ("k8s.io/utils", "v0.0.0-20240711033017-18e509b52bc8"),
    ("sigs.k8s.io/json", "v0.0.0-20221116044647-bc3834ca7abd"),
    ("sigs.k8s.io/yaml", "v1.4.0"),
)

package kine

import (
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"unsafe"

	"modernc.org/libc"
	sqlite3lib "modernc.org/sqlite/lib"
)

// An event is one thing that SQLite asked of the files of a database, or a
// confirmation to a client, in the order in which they happened.
type event struct {
	kind   string // write, truncate, sync, delete, confirm
	file   string
	offset int64 // of a write; the size after truncate; the revision that was confirmed
	data   []byte
}

// recorder stands between SQLite and the system's files and writes down what is
// written, cut, synced and deleted. All goes on to the files as well.
//
// The index of the log (-shm) is not in it: SQLite makes it anew after a crash.
type recorder struct {
	mu     sync.Mutex
	events []event
	// hurdle, if there is one, comes before each write and sync: it may take its
	// time, and say that it fails. Nothing is written down meanwhile.
	hurdle atomic.Pointer[hurdle]
	files  map[uintptr]recorded
	tables map[uintptr]*sqlite3lib.Tsqlite3_io_methods // ours, by the system's
	vfs    sqlite3lib.Tsqlite3_vfs
	system uintptr
	tls    *libc.TLS
}

// A hurdle answers with a result code of SQLite.
type hurdle func(kind, file string) int32

// recorded is an open file.
type recorded struct {
	name    string
	methods *sqlite3lib.Tsqlite3_io_methods // the system's
}

// The one recorder that works; SQLite's functions have no place for a Go value.
var recording *recorder

// at reads memory that SQLite's Go form keeps, whose addresses are numbers.
func at[T any](address uintptr) *T { return *(**T)(unsafe.Pointer(&address)) }

// addressOf is the other way round, for values that a package variable keeps alive.
func addressOf[T any](value *T) uintptr { return uintptr(unsafe.Pointer(value)) }

// functionOf makes a number a function again; numberOf makes one of a function.
func functionOf[F any](number uintptr) F  { return *(*F)(unsafe.Pointer(&struct{ uintptr }{number})) }
func numberOf[F any](function *F) uintptr { return *at[uintptr](addressOf(function)) }

type (
	openFunc     = func(*libc.TLS, uintptr, uintptr, uintptr, int32, uintptr) int32
	deleteFunc   = func(*libc.TLS, uintptr, uintptr, int32) int32
	writeFunc    = func(*libc.TLS, uintptr, uintptr, int32, int64) int32
	truncateFunc = func(*libc.TLS, uintptr, int64) int32
	syncFunc     = func(*libc.TLS, uintptr, int32) int32
)

var (
	openRecorded openFunc = func(tls *libc.TLS, _, name, file uintptr, flags int32, out uintptr) int32 {
		r := recording
		rc := functionOf[openFunc](at[sqlite3lib.Tsqlite3_vfs](r.system).FxOpen)(tls, r.system, name, file, flags, out)
		if rc == sqlite3lib.SQLITE_OK && name != 0 {
			r.opened(libc.GoString(name), file)
		}
		return rc
	}
	deleteRecorded deleteFunc = func(tls *libc.TLS, _, name uintptr, sync int32) int32 {
		r := recording
		r.add(event{kind: "delete", file: filepath.Base(libc.GoString(name))})
		return functionOf[deleteFunc](at[sqlite3lib.Tsqlite3_vfs](r.system).FxDelete)(tls, r.system, name, sync)
	}
	writeRecorded writeFunc = func(tls *libc.TLS, file, data uintptr, n int32, offset int64) int32 {
		of := recording.of(file)
		if rc := recording.meets("write", of.name); rc != sqlite3lib.SQLITE_OK {
			return rc
		}
		kept := append([]byte(nil), unsafe.Slice(at[byte](data), n)...)
		recording.add(event{kind: "write", file: of.name, offset: offset, data: kept})
		return functionOf[writeFunc](of.methods.FxWrite)(tls, file, data, n, offset)
	}
	truncateRecorded truncateFunc = func(tls *libc.TLS, file uintptr, size int64) int32 {
		of := recording.of(file)
		recording.add(event{kind: "truncate", file: of.name, offset: size})
		return functionOf[truncateFunc](of.methods.FxTruncate)(tls, file, size)
	}
	// What was synced counts from when the call returns.
	syncRecorded syncFunc = func(tls *libc.TLS, file uintptr, flags int32) int32 {
		of := recording.of(file)
		if rc := recording.meets("sync", of.name); rc != sqlite3lib.SQLITE_OK {
			return rc
		}
		rc := functionOf[syncFunc](of.methods.FxSync)(tls, file, flags)
		if rc == sqlite3lib.SQLITE_OK {
			recording.add(event{kind: "sync", file: of.name})
		}
		return rc
	}
)

// newRecorder makes SQLite use a recorder for every file that is opened until the test ends.
func newRecorder(t *testing.T) *recorder {
	t.Helper()
	r := &recorder{files: map[uintptr]recorded{}, tables: map[uintptr]*sqlite3lib.Tsqlite3_io_methods{}, tls: libc.NewTLS()}
	r.system = sqlite3lib.Xsqlite3_vfs_find(r.tls, 0)
	r.vfs = *at[sqlite3lib.Tsqlite3_vfs](r.system)
	name, err := libc.CString("recorder")
	if err != nil {
		t.Fatal(err)
	}
	r.vfs.FzName, r.vfs.FpNext = name, 0
	r.vfs.FxOpen, r.vfs.FxDelete = numberOf(&openRecorded), numberOf(&deleteRecorded)
	recording = r
	if rc := sqlite3lib.Xsqlite3_vfs_register(r.tls, addressOf(&r.vfs), 1); rc != sqlite3lib.SQLITE_OK {
		t.Fatalf("register: %d", rc)
	}
	t.Cleanup(func() {
		sqlite3lib.Xsqlite3_vfs_register(r.tls, r.system, 1)
		sqlite3lib.Xsqlite3_vfs_unregister(r.tls, addressOf(&r.vfs))
		r.tls.Close()
	})
	return r
}

// meets is what the hurdle says.
func (r *recorder) meets(kind, file string) int32 {
	if h := r.hurdle.Load(); h != nil {
		return (*h)(kind, file)
	}
	return sqlite3lib.SQLITE_OK
}

func (r *recorder) add(e event) {
	if r.hurdle.Load() != nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

func (r *recorder) of(file uintptr) recorded {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.files[file]
}

// opened gives an open file our functions.
func (r *recorder) opened(path string, file uintptr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	handle := at[sqlite3lib.Tsqlite3_file](file)
	system := at[sqlite3lib.Tsqlite3_io_methods](handle.FpMethods)
	own := r.tables[handle.FpMethods]
	if own == nil {
		copied := *system
		own = &copied
		own.FxWrite, own.FxTruncate, own.FxSync = numberOf(&writeRecorded), numberOf(&truncateRecorded), numberOf(&syncRecorded)
		r.tables[handle.FpMethods] = own
	}
	r.files[file] = recorded{name: filepath.Base(path), methods: system}
	handle.FpMethods = addressOf(own)
}

// confirm says that a client was told of a revision.
func (r *recorder) confirm(key string, revision int64) {
	r.add(event{kind: "confirm", file: key, offset: revision})
}

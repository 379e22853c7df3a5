package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sort"
	"strings"
	"sync"
	"syscall"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	volumes   = "volumes"
	snapshots = "snapshots"
	published = "published"
)

// record is what is known of a volume, a snapshot, or a place where a volume is published.
type record struct {
	ID      string    `json:"id"`
	Name    string    `json:"name"`
	About   string    `json:"about"` // namespace/claim, and what it came from
	Size    int64     `json:"size"`
	Block   bool      `json:"block"`
	Source  string    `json:"source"` // id of the volume or snapshot it was copied from
	Created time.Time `json:"created"`
	Node    string    `json:"node,omitempty"`
	Target  string    `json:"target,omitempty"`
	Alone   bool      `json:"alone,omitempty"`  // ReadWriteOncePod
	Device  string    `json:"device,omitempty"` // loop device of a block volume
	Holder  int       `json:"holder,omitempty"` // who keeps that device attached
}

// store is a folder: {volumes,snapshots}/ID/{record.json,content}, published/ID/record.json.
// A thing is made aside and renamed, so what has a record is complete.
type store struct {
	folder string
	mutex  sync.Mutex // one change at a time
}

func openStore(folder string) (*store, error) {
	for _, kind := range []string{volumes, snapshots, published, "new", "empty"} {
		if err := os.MkdirAll(filepath.Join(folder, kind), 0o755); err != nil {
			return nil, err
		}
	}
	return &store{folder: folder}, nil
}

// idOf makes repeated calls with one name mean one thing.
func idOf(prefix, name string) string {
	sum := sha256.Sum256([]byte(name))
	return prefix + hex.EncodeToString(sum[:16])
}

func (s *store) path(kind, id string) string { return filepath.Join(s.folder, kind, filepath.Base(id)) }

// content is the folder or the file with a volume's or a snapshot's data.
func (s *store) content(kind, id string) string { return filepath.Join(s.path(kind, id), "content") }

// get returns nil where there is no such thing.
func (s *store) get(kind, id string) (*record, error) {
	text, err := os.ReadFile(filepath.Join(s.path(kind, id), "record.json"))
	if errors.Is(err, os.ErrNotExist) || id == "" {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	found := &record{}
	return found, json.Unmarshal(text, found)
}

// all is in order of the ids.
func (s *store) all(kind string) ([]*record, error) {
	entries, err := os.ReadDir(filepath.Join(s.folder, kind))
	if err != nil {
		return nil, err
	}
	var found []*record
	for _, entry := range entries {
		one, err := s.get(kind, entry.Name())
		if err != nil {
			return nil, err
		}
		if one != nil {
			found = append(found, one)
		}
	}
	sort.Slice(found, func(i, j int) bool { return found[i].ID < found[j].ID })
	return found, nil
}

// make fills a folder aside with content and record, and puts it in its place.
func (s *store) make(kind string, one *record, fill func(content string) error) error {
	aside := filepath.Join(s.folder, "new", one.ID)
	if err := os.RemoveAll(aside); err != nil {
		return err
	}
	if err := os.MkdirAll(aside, 0o755); err != nil {
		return err
	}
	if err := fill(filepath.Join(aside, "content")); err != nil {
		return err
	}
	text, err := json.MarshalIndent(one, "", " ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(aside, "record.json"), text, 0o644); err != nil {
		return err
	}
	return os.Rename(aside, s.path(kind, one.ID))
}

// remove moves a thing aside first: half of it never has a record.
func (s *store) remove(kind, id string) error {
	aside := filepath.Join(s.folder, "new", "removed-"+filepath.Base(id))
	if err := os.RemoveAll(aside); err != nil {
		return err
	}
	if err := os.Rename(s.path(kind, id), aside); err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return err
	}
	return os.RemoveAll(aside)
}

// publications are the places where a volume is in use, on any node.
func (s *store) publications(volume string) ([]*record, error) {
	every, err := s.all(published)
	var found []*record
	for _, one := range every {
		if one.Source == volume {
			found = append(found, one)
		}
	}
	return found, err
}

// duplicate is a full copy, with owners, modes, times, links, holes and attributes. It ends with the
// driver: the next one begins it anew, in the same place.
func duplicate(from, to string) error {
	runtime.LockOSThread() // which is what the kernel ties a child to
	defer runtime.UnlockOSThread()
	copying := exec.Command("cp", "--archive", "--reflink=auto", "--sparse=always", from, to)
	copying.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	said, err := copying.CombinedOutput()
	if err != nil {
		return status.Errorf(codes.Internal, "copying: %v: %s", err, strings.TrimSpace(string(said)))
	}
	return nil
}

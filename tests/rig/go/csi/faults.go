package main

import (
	"context"
	"encoding/json"
	"errors"
	"log"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// What a rule lets happen to the calls it is about, for as long as it is in faults.json.
const (
	fail    = "fail"    // the call ends with the rule's code and message
	wait    = "hold"    // the call waits
	unready = "unready" // a snapshot is there but not ready to use
	empty   = "empty"   // an empty folder is mounted in place of the volume
)

type rule struct {
	Call    string     `json:"call"`  // CreateSnapshot, NodePublishVolume, …
	About   string     `json:"about"` // a regular expression, searched in what the call is about
	Effect  string     `json:"effect"`
	Code    codes.Code `json:"code"` // as gRPC numbers or names them
	Message string     `json:"message"`
}

// faults reads FOLDER/faults.json, a list of rules, at each call, and appends each call to
// FOLDER/calls.jsonl when it comes and when it ends.
type faults struct {
	folder, node string
	store        *store
}

type entry struct {
	At     time.Time `json:"at"`
	Node   string    `json:"node"`
	Call   string    `json:"call"`
	About  string    `json:"about"`
	Effect string    `json:"effect"`
	Ended  bool      `json:"ended"`
	Code   string    `json:"code,omitempty"`
}

func (f *faults) rules() []rule {
	text, err := os.ReadFile(filepath.Join(f.folder, "faults.json"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	var found []rule
	if err == nil {
		err = json.Unmarshal(text, &found)
	}
	if err != nil {
		log.Printf("faults.json: %v", err)
	}
	return found
}

// find returns the first rule for the call; nil: it is to do what it should.
func (f *faults) find(call, about string) *rule {
	for _, one := range f.rules() {
		matched, err := regexp.MatchString(one.About, about)
		if err != nil {
			log.Printf("faults.json: %v", err)
		}
		if one.Call == call && matched {
			return &one
		}
	}
	return nil
}

func (f *faults) has(call, about, effect string) bool {
	found := f.find(call, about)
	return found != nil && found.Effect == effect
}

func (f *faults) write(one entry) {
	one.At, one.Node = time.Now().UTC(), f.node
	text, err := json.Marshal(one)
	if err == nil {
		var file *os.File
		file, err = os.OpenFile(filepath.Join(f.folder, "calls.jsonl"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
		if err == nil {
			_, err = file.Write(append(text, '\n'))
			err = errors.Join(err, file.Close())
		}
	}
	if err != nil {
		log.Printf("calls.jsonl: %v", err)
	}
}

// intercept stands before each call of the driver.
func (f *faults) intercept(
	ctx context.Context, request any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler,
) (any, error) {
	call := path.Base(info.FullMethod)
	if strings.HasPrefix(info.FullMethod, "/csi.v1.Identity/") || strings.HasSuffix(call, "GetCapabilities") {
		return next(ctx, request)
	}
	about := f.about(request)
	one := entry{Call: call, About: about}
	found := f.find(call, about)
	if found != nil {
		one.Effect = found.Effect
	}
	f.write(one)
	answer, err := f.affected(ctx, one, found, func() (any, error) { return next(ctx, request) })
	one.Ended, one.Code = true, status.Code(err).String()
	f.write(one)
	if err != nil {
		log.Printf("%s %s: %v", call, about, err)
	}
	return answer, err
}

func (f *faults) affected(ctx context.Context, one entry, found *rule, next func() (any, error)) (any, error) {
	if one.Effect == fail {
		return nil, status.Error(found.Code, found.Message)
	}
	for one.Effect == wait && f.has(one.Call, one.About, wait) {
		select {
		case <-ctx.Done():
			return nil, status.FromContextError(ctx.Err()).Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
	return next()
}

// about says in names what a call is about: "shop/data", "shop/nightly of shop/data",
// "shop/copy from shop/nightly of shop/data".
func (f *faults) about(request any) string {
	switch asked := request.(type) {
	case *csi.CreateVolumeRequest:
		name := named(asked.Parameters, "csi.storage.k8s.io/pvc/", asked.Name)
		if kind, id := sourceOf(asked.VolumeContentSource); kind != "" {
			return name + " from " + f.known(kind, id)
		}
		return name
	case *csi.CreateSnapshotRequest:
		name := named(asked.Parameters, "csi.storage.k8s.io/volumesnapshot/", asked.Name)
		return name + " of " + f.known(volumes, asked.SourceVolumeId)
	case interface{ GetSnapshotId() string }:
		return f.known(snapshots, asked.GetSnapshotId())
	case interface{ GetVolumeId() string }:
		return f.known(volumes, asked.GetVolumeId())
	}
	return ""
}

func (f *faults) known(kind, id string) string {
	if found, err := f.store.get(kind, id); err == nil && found != nil {
		return found.About
	}
	return id
}

// named is what the sidecars' --extra-create-metadata says, else the name of the call itself.
func named(parameters map[string]string, prefix, otherwise string) string {
	if name := parameters[prefix+"name"]; name != "" {
		return parameters[prefix+"namespace"] + "/" + name
	}
	return otherwise
}

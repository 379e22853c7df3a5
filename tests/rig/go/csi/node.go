package main

import (
	"bufio"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

type nodeServer struct {
	csi.UnimplementedNodeServer
	store  *store
	faults *faults
	node   string
}

func (n *nodeServer) NodeGetInfo(context.Context, *csi.NodeGetInfoRequest) (*csi.NodeGetInfoResponse, error) {
	return &csi.NodeGetInfoResponse{NodeId: n.node}, nil
}

func (n *nodeServer) NodeGetCapabilities(
	context.Context, *csi.NodeGetCapabilitiesRequest,
) (*csi.NodeGetCapabilitiesResponse, error) {
	answer := &csi.NodeGetCapabilitiesResponse{}
	for _, able := range []csi.NodeServiceCapability_RPC_Type{
		csi.NodeServiceCapability_RPC_STAGE_UNSTAGE_VOLUME, // or the kubelet leaves a folder per volume
		csi.NodeServiceCapability_RPC_SINGLE_NODE_MULTI_WRITER,
	} {
		rpc := &csi.NodeServiceCapability_RPC{Type: able}
		one := &csi.NodeServiceCapability{Type: &csi.NodeServiceCapability_Rpc{Rpc: rpc}}
		answer.Capabilities = append(answer.Capabilities, one)
	}
	return answer, nil
}

func (n *nodeServer) NodeStageVolume(
	_ context.Context, asked *csi.NodeStageVolumeRequest,
) (*csi.NodeStageVolumeResponse, error) {
	if asked.VolumeId == "" || asked.StagingTargetPath == "" || asked.VolumeCapability == nil {
		return nil, status.Error(codes.InvalidArgument, "volume id, staging path or capability is missing")
	}
	found, err := n.store.get(volumes, asked.VolumeId)
	if err == nil && found == nil {
		err = status.Errorf(codes.NotFound, "no volume %s", asked.VolumeId)
	}
	return &csi.NodeStageVolumeResponse{}, err
}

func (n *nodeServer) NodeUnstageVolume(
	_ context.Context, asked *csi.NodeUnstageVolumeRequest,
) (*csi.NodeUnstageVolumeResponse, error) {
	if asked.VolumeId == "" || asked.StagingTargetPath == "" {
		return nil, status.Error(codes.InvalidArgument, "volume id or staging path is missing")
	}
	return &csi.NodeUnstageVolumeResponse{}, nil
}

func isReadOnly(asked *csi.NodePublishVolumeRequest) bool {
	mode := asked.VolumeCapability.GetAccessMode().GetMode()
	return asked.Readonly || mode == csi.VolumeCapability_AccessMode_MULTI_NODE_READER_ONLY ||
		mode == csi.VolumeCapability_AccessMode_SINGLE_NODE_READER_ONLY
}

func (n *nodeServer) NodePublishVolume(
	_ context.Context, asked *csi.NodePublishVolumeRequest,
) (*csi.NodePublishVolumeResponse, error) {
	if asked.VolumeId == "" || asked.TargetPath == "" || asked.VolumeCapability == nil {
		return nil, status.Error(codes.InvalidArgument, "volume id, target path or capability is missing")
	}
	n.store.mutex.Lock()
	defer n.store.mutex.Unlock()
	volume, err := n.store.get(volumes, asked.VolumeId)
	if err != nil {
		return nil, err
	}
	if volume == nil {
		return nil, status.Errorf(codes.NotFound, "no volume %s", asked.VolumeId)
	}
	if volume.Block != (asked.VolumeCapability.GetBlock() != nil) {
		return nil, status.Error(codes.InvalidArgument, "the volume is of another mode")
	}
	place := n.place(asked, volume)
	if there, err := n.store.get(published, place.ID); err != nil || there != nil {
		return &csi.NodePublishVolumeResponse{}, err
	}
	others, err := n.store.publications(volume.ID)
	if err != nil {
		return nil, err
	}
	for _, other := range others {
		if other.Alone || place.Alone {
			return nil, status.Errorf(codes.FailedPrecondition, "%s is in use at %s", volume.ID, other.Target)
		}
	}
	return &csi.NodePublishVolumeResponse{}, n.publish(volume, place, isReadOnly(asked), others)
}

func (n *nodeServer) place(asked *csi.NodePublishVolumeRequest, volume *record) *record {
	mode := asked.VolumeCapability.GetAccessMode().GetMode()
	return &record{
		ID: n.placeID(asked.TargetPath), About: volume.About, Source: volume.ID, Block: volume.Block,
		Created: time.Now().UTC(), Node: n.node, Target: asked.TargetPath,
		Alone: mode == csi.VolumeCapability_AccessMode_SINGLE_NODE_SINGLE_WRITER,
	}
}

func (n *nodeServer) placeID(target string) string {
	return idOf("at-", n.node+" "+filepath.Clean(target))
}

// publish leaves nothing at the target when it fails.
func (n *nodeServer) publish(volume, place *record, readOnly bool, others []*record) error {
	if err := unmount(place.Target); err != nil { // of a try that was killed
		return err
	}
	source := n.store.content(volumes, volume.ID)
	if volume.Block {
		if err := attach(place, source, readOnly, others); err != nil {
			return err
		}
		source = place.Device
	} else if n.faults.has("NodePublishVolume", volume.About, empty) {
		source = filepath.Join(n.store.folder, "empty", place.ID)
		if err := errors.Join(os.MkdirAll(source, 0o777), os.Chmod(source, 0o777)); err != nil {
			return err
		}
	}
	err := bind(source, place.Target, volume.Block, readOnly)
	if err == nil {
		err = n.store.make(published, place, func(string) error { return nil })
	}
	if err != nil {
		return errors.Join(err, unmount(place.Target), detach(place))
	}
	return nil
}

func bind(source, target string, file, readOnly bool) error {
	if file {
		made, err := os.OpenFile(target, os.O_CREATE|os.O_RDONLY, 0o640)
		if err != nil {
			return err
		}
		made.Close()
	} else if err := os.MkdirAll(target, 0o750); err != nil {
		return err
	}
	if err := syscall.Mount(source, target, "", syscall.MS_BIND, ""); err != nil {
		return err
	}
	if readOnly {
		return syscall.Mount("", target, "", syscall.MS_BIND|syscall.MS_REMOUNT|syscall.MS_RDONLY, "")
	}
	return nil
}

// unmount removes the target too; it is no error when neither is there.
func unmount(target string) error {
	mounted, err := isMounted(target)
	if err != nil {
		return err
	}
	if mounted {
		if err := syscall.Unmount(target, 0); err != nil {
			return status.Errorf(codes.Internal, "unmounting %s: %v", target, err)
		}
	}
	if err := os.Remove(target); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err // a folder with something in it stays: it would be somebody's data
	}
	return nil
}

func isMounted(target string) (bool, error) {
	file, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return false, err
	}
	defer file.Close()
	escaped := strings.ReplaceAll(filepath.Clean(target), " ", `\040`)
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if fields := strings.Fields(lines.Text()); len(fields) > 4 && fields[4] == escaped {
			return true, nil
		}
	}
	return false, lines.Err()
}

func (n *nodeServer) NodeUnpublishVolume(
	_ context.Context, asked *csi.NodeUnpublishVolumeRequest,
) (*csi.NodeUnpublishVolumeResponse, error) {
	if asked.VolumeId == "" || asked.TargetPath == "" {
		return nil, status.Error(codes.InvalidArgument, "volume id or target path is missing")
	}
	n.store.mutex.Lock()
	defer n.store.mutex.Unlock()
	place, err := n.store.get(published, n.placeID(asked.TargetPath))
	if err != nil {
		return nil, err
	}
	if err := unmount(asked.TargetPath); err != nil {
		return nil, err
	}
	if place == nil {
		return &csi.NodeUnpublishVolumeResponse{}, nil
	}
	if err := detach(place); err != nil {
		return nil, err
	}
	return &csi.NodeUnpublishVolumeResponse{}, n.store.remove(published, place.ID)
}

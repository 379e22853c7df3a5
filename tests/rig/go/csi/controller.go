package main

import (
	"context"
	"os"
	"strconv"
	"time"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"
)

const (
	usual = 1 << 30 // bytes of a volume whose size nobody says
	most  = 1 << 40
)

type controller struct {
	csi.UnimplementedControllerServer
	store  *store
	faults *faults
}

func (c *controller) ControllerGetCapabilities(
	context.Context, *csi.ControllerGetCapabilitiesRequest,
) (*csi.ControllerGetCapabilitiesResponse, error) {
	answer := &csi.ControllerGetCapabilitiesResponse{}
	for _, able := range []csi.ControllerServiceCapability_RPC_Type{
		csi.ControllerServiceCapability_RPC_CREATE_DELETE_VOLUME,
		csi.ControllerServiceCapability_RPC_CREATE_DELETE_SNAPSHOT,
		csi.ControllerServiceCapability_RPC_LIST_SNAPSHOTS,
		csi.ControllerServiceCapability_RPC_CLONE_VOLUME,
		csi.ControllerServiceCapability_RPC_SINGLE_NODE_MULTI_WRITER,
	} {
		rpc := &csi.ControllerServiceCapability_RPC{Type: able}
		one := &csi.ControllerServiceCapability{Type: &csi.ControllerServiceCapability_Rpc{Rpc: rpc}}
		answer.Capabilities = append(answer.Capabilities, one)
	}
	return answer, nil
}

// sourceOf says what a volume is to be a copy of; "" when it starts empty.
func sourceOf(source *csi.VolumeContentSource) (kind, id string) {
	if snapshot := source.GetSnapshot(); snapshot != nil {
		return snapshots, snapshot.SnapshotId
	}
	if volume := source.GetVolume(); volume != nil {
		return volumes, volume.VolumeId
	}
	return "", ""
}

func sizeOf(asked *csi.CapacityRange) (int64, error) {
	size := asked.GetRequiredBytes()
	if size == 0 {
		size = usual
		if limit := asked.GetLimitBytes(); limit != 0 {
			size = min(size, limit)
		}
	}
	if limit := asked.GetLimitBytes(); size > most || limit != 0 && size > limit || size < 0 {
		return 0, status.Errorf(codes.OutOfRange, "%d bytes can't be had", size)
	}
	return size, nil
}

func isBlock(asked []*csi.VolumeCapability) (bool, error) {
	blocks := 0
	for _, one := range asked {
		switch {
		case one.GetBlock() != nil:
			blocks++
		case one.GetMount() == nil || one.GetAccessMode() == nil:
			return false, status.Error(codes.InvalidArgument, "a capability says neither mount nor block")
		}
	}
	if len(asked) == 0 || blocks != 0 && blocks != len(asked) {
		return false, status.Error(codes.InvalidArgument, "capabilities must all be of one type")
	}
	return blocks != 0, nil
}

func (c *controller) CreateVolume(
	_ context.Context, asked *csi.CreateVolumeRequest,
) (*csi.CreateVolumeResponse, error) {
	if asked.Name == "" {
		return nil, status.Error(codes.InvalidArgument, "a name is missing")
	}
	block, err := isBlock(asked.VolumeCapabilities)
	if err != nil {
		return nil, err
	}
	size, err := sizeOf(asked.CapacityRange)
	if err != nil {
		return nil, err
	}
	kind, source := sourceOf(asked.VolumeContentSource)
	wanted := &record{
		ID: idOf("vol-", asked.Name), Name: asked.Name, About: c.faults.about(asked), Size: size,
		Block: block, Source: source, Created: time.Now().UTC(),
	}
	c.store.mutex.Lock()
	defer c.store.mutex.Unlock()
	found, err := c.store.get(volumes, wanted.ID)
	if err != nil {
		return nil, err
	}
	if found != nil && (found.Size != size || found.Block != block || found.Source != source) {
		return nil, status.Errorf(codes.AlreadyExists, "%s is there, and is another", asked.Name)
	}
	if found == nil {
		if err := c.fill(wanted, kind); err != nil {
			return nil, err
		}
	}
	volume := &csi.Volume{VolumeId: wanted.ID, CapacityBytes: size, ContentSource: asked.VolumeContentSource}
	return &csi.CreateVolumeResponse{Volume: volume}, nil
}

func (c *controller) fill(wanted *record, kind string) error {
	if kind != "" {
		source, err := c.store.get(kind, wanted.Source)
		switch {
		case err != nil:
			return err
		case source == nil:
			return status.Errorf(codes.NotFound, "%s: no %s is there", wanted.Source, kind)
		case source.Size > wanted.Size:
			return status.Errorf(codes.OutOfRange, "%d bytes are less than the source's %d", wanted.Size, source.Size)
		case source.Block != wanted.Block:
			return status.Error(codes.InvalidArgument, "the source is of another volume mode")
		}
		if err := c.settle(kind, source); err != nil {
			return err
		}
	}
	return c.store.make(volumes, wanted, func(content string) error {
		if kind != "" {
			if err := duplicate(c.store.content(kind, wanted.Source), content); err != nil {
				return err
			}
		} else if !wanted.Block {
			if err := os.Mkdir(content, 0o777); err != nil {
				return err
			}
			return os.Chmod(content, 0o777) // whatever the umask is
		}
		if !wanted.Block {
			return nil
		}
		file, err := os.OpenFile(content, os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		defer file.Close()
		return file.Truncate(wanted.Size)
	})
}

// settle writes what a block volume's devices still have in memory to the file behind them.
func (c *controller) settle(kind string, source *record) error {
	if kind != volumes || !source.Block {
		return nil
	}
	places, err := c.store.publications(source.ID)
	for _, place := range places {
		if err = flush(place.Device); err != nil {
			break
		}
	}
	return err
}

func (c *controller) DeleteVolume(
	_ context.Context, asked *csi.DeleteVolumeRequest,
) (*csi.DeleteVolumeResponse, error) {
	if asked.VolumeId == "" {
		return nil, status.Error(codes.InvalidArgument, "a volume id is missing")
	}
	c.store.mutex.Lock()
	defer c.store.mutex.Unlock()
	places, err := c.store.publications(asked.VolumeId)
	if err != nil {
		return nil, err
	}
	if len(places) != 0 {
		return nil, status.Errorf(codes.FailedPrecondition, "%s is in use at %s", asked.VolumeId, places[0].Target)
	}
	return &csi.DeleteVolumeResponse{}, c.store.remove(volumes, asked.VolumeId)
}

func (c *controller) ValidateVolumeCapabilities(
	_ context.Context, asked *csi.ValidateVolumeCapabilitiesRequest,
) (*csi.ValidateVolumeCapabilitiesResponse, error) {
	if asked.VolumeId == "" {
		return nil, status.Error(codes.InvalidArgument, "a volume id is missing")
	}
	block, err := isBlock(asked.VolumeCapabilities)
	if err != nil {
		return nil, err
	}
	found, err := c.store.get(volumes, asked.VolumeId)
	if err != nil {
		return nil, err
	}
	if found == nil {
		return nil, status.Errorf(codes.NotFound, "no volume %s", asked.VolumeId)
	}
	answer := &csi.ValidateVolumeCapabilitiesResponse{}
	if found.Block == block {
		answer.Confirmed = &csi.ValidateVolumeCapabilitiesResponse_Confirmed{
			VolumeCapabilities: asked.VolumeCapabilities, VolumeContext: asked.VolumeContext,
		}
	}
	return answer, nil
}

func (c *controller) CreateSnapshot(
	_ context.Context, asked *csi.CreateSnapshotRequest,
) (*csi.CreateSnapshotResponse, error) {
	if asked.Name == "" || asked.SourceVolumeId == "" {
		return nil, status.Error(codes.InvalidArgument, "a name or a source is missing")
	}
	c.store.mutex.Lock()
	defer c.store.mutex.Unlock()
	id := idOf("snap-", asked.Name)
	found, err := c.store.get(snapshots, id)
	if err != nil {
		return nil, err
	}
	if found != nil && found.Source != asked.SourceVolumeId {
		return nil, status.Errorf(codes.AlreadyExists, "%s is there, and of another volume", asked.Name)
	}
	if found == nil {
		if found, err = c.cut(id, asked); err != nil {
			return nil, err
		}
	}
	return &csi.CreateSnapshotResponse{Snapshot: c.described(found)}, nil
}

func (c *controller) cut(id string, asked *csi.CreateSnapshotRequest) (*record, error) {
	source, err := c.store.get(volumes, asked.SourceVolumeId)
	if err != nil {
		return nil, err
	}
	if source == nil {
		return nil, status.Errorf(codes.NotFound, "no volume %s", asked.SourceVolumeId)
	}
	if err := c.settle(volumes, source); err != nil {
		return nil, err
	}
	made := &record{
		ID: id, Name: asked.Name, About: c.faults.about(asked), Size: source.Size, Block: source.Block,
		Source: source.ID, Created: time.Now().UTC(),
	}
	return made, c.store.make(snapshots, made, func(content string) error {
		return duplicate(c.store.content(volumes, source.ID), content)
	})
}

func (c *controller) described(found *record) *csi.Snapshot {
	return &csi.Snapshot{
		SnapshotId: found.ID, SourceVolumeId: found.Source, SizeBytes: found.Size,
		CreationTime: timestamppb.New(found.Created),
		ReadyToUse:   !c.faults.has("CreateSnapshot", found.About, unready),
	}
}

func (c *controller) DeleteSnapshot(
	_ context.Context, asked *csi.DeleteSnapshotRequest,
) (*csi.DeleteSnapshotResponse, error) {
	if asked.SnapshotId == "" {
		return nil, status.Error(codes.InvalidArgument, "a snapshot id is missing")
	}
	c.store.mutex.Lock()
	defer c.store.mutex.Unlock()
	return &csi.DeleteSnapshotResponse{}, c.store.remove(snapshots, asked.SnapshotId)
}

func (c *controller) ListSnapshots(
	_ context.Context, asked *csi.ListSnapshotsRequest,
) (*csi.ListSnapshotsResponse, error) {
	every, err := c.store.all(snapshots)
	if err != nil {
		return nil, err
	}
	begin := 0
	if asked.StartingToken != "" {
		if begin, err = strconv.Atoi(asked.StartingToken); err != nil || begin < 0 || begin > len(every) {
			return nil, status.Errorf(codes.Aborted, "%q is no starting token", asked.StartingToken)
		}
	}
	answer := &csi.ListSnapshotsResponse{}
	for i, one := range every[begin:] {
		if asked.MaxEntries > 0 && len(answer.Entries) == int(asked.MaxEntries) {
			answer.NextToken = strconv.Itoa(begin + i)
			break
		}
		if (asked.SnapshotId == "" || asked.SnapshotId == one.ID) &&
			(asked.SourceVolumeId == "" || asked.SourceVolumeId == one.Source) {
			answer.Entries = append(answer.Entries, &csi.ListSnapshotsResponse_Entry{Snapshot: c.described(one)})
		}
	}
	return answer, nil
}

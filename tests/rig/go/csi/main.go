// A CSI driver for tests: volumes are folders or sparse files of one folder that all nodes of a
// cluster see, snapshots and clones are copies. What it is told to do wrong is in faults.go.
//
// Everything it knows lies in that folder, so it may be killed and started again at any time.
package main

import (
	"context"
	"errors"
	"flag"
	"log"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/container-storage-interface/spec/lib/go/csi"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/wrapperspb"
	registration "k8s.io/kubelet/pkg/apis/pluginregistration/v1"
)

const version = "1"

type identity struct {
	csi.UnimplementedIdentityServer
	name string
}

func (i *identity) GetPluginInfo(context.Context, *csi.GetPluginInfoRequest) (*csi.GetPluginInfoResponse, error) {
	return &csi.GetPluginInfoResponse{Name: i.name, VendorVersion: version}, nil
}

func (i *identity) GetPluginCapabilities(
	context.Context, *csi.GetPluginCapabilitiesRequest,
) (*csi.GetPluginCapabilitiesResponse, error) {
	service := &csi.PluginCapability_Service{Type: csi.PluginCapability_Service_CONTROLLER_SERVICE}
	able := []*csi.PluginCapability{{Type: &csi.PluginCapability_Service_{Service: service}}}
	return &csi.GetPluginCapabilitiesResponse{Capabilities: able}, nil
}

func (i *identity) Probe(context.Context, *csi.ProbeRequest) (*csi.ProbeResponse, error) {
	return &csi.ProbeResponse{Ready: wrapperspb.Bool(true)}, nil
}

// registrar tells the kubelet, which finds its socket, where the driver is.
type registrar struct {
	registration.UnimplementedRegistrationServer
	name, endpoint string
}

func (r *registrar) GetInfo(context.Context, *registration.InfoRequest) (*registration.PluginInfo, error) {
	return &registration.PluginInfo{
		Type: registration.CSIPlugin, Name: r.name, Endpoint: r.endpoint, SupportedVersions: []string{"1.0.0"},
	}, nil
}

func (r *registrar) NotifyRegistrationStatus(
	_ context.Context, status *registration.RegistrationStatus,
) (*registration.RegistrationStatusResponse, error) {
	log.Printf("registered=%v %s", status.PluginRegistered, status.Error)
	return &registration.RegistrationStatusResponse{}, nil
}

// listen takes the place of a socket that a killed driver left.
func listen(path string) (net.Listener, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return nil, err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	return net.Listen("unix", path)
}

func run() error {
	name := flag.String("name", "csi.rig.test", "the driver's name")
	node := flag.String("node", "node", "this node's name")
	data := flag.String("data", "", "folder of volumes, snapshots, faults and calls")
	endpoint := flag.String("endpoint", "", "path of the CSI socket")
	registry := flag.String("registry", "", "the kubelet's folder of registration sockets; empty: none")
	flag.Parse()
	if flag.Arg(0) == holder {
		hold()
	}
	keep, err := openStore(*data)
	if err != nil {
		return err
	}
	faults := &faults{folder: *data, node: *node, store: keep}
	server := grpc.NewServer(grpc.UnaryInterceptor(faults.intercept))
	csi.RegisterIdentityServer(server, &identity{name: *name})
	csi.RegisterControllerServer(server, &controller{store: keep, faults: faults})
	csi.RegisterNodeServer(server, &nodeServer{store: keep, faults: faults, node: *node})
	socket, err := listen(*endpoint)
	if err != nil {
		return err
	}
	ended := make(chan error, 2)
	go func() { ended <- server.Serve(socket) }()
	if *registry != "" {
		door, err := listen(filepath.Join(*registry, *name+"-reg.sock"))
		if err != nil {
			return err
		}
		desk := grpc.NewServer()
		registration.RegisterRegistrationServer(desk, &registrar{name: *name, endpoint: *endpoint})
		go func() { ended <- desk.Serve(door) }()
		defer desk.Stop()
	}
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM, syscall.SIGINT)
	log.Printf("%s serves %s from %s", *name, *endpoint, *data)
	select {
	case err := <-ended:
		return err
	case <-asked:
		server.Stop()
		return nil
	}
}

func main() {
	log.SetFlags(log.LstdFlags | log.LUTC | log.Lmicroseconds)
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// A block volume is a loop device that lasts as long as somebody has it open. That is a process of
// its own, "csi-driver hold": it survives the driver, and ends with the machine, and so does the
// device, however the machine ends.
const holder = "hold"

func hold() {
	for {
		_ = unix.Pause()
	}
}

// attach puts a file behind a loop device, and notes device and holder in the place. It is the one
// that another place has, if there is one: two would not see what is written to each other.
func attach(place *record, file string, readOnly bool, others []*record) error {
	flags := os.O_RDWR
	config := unix.LoopConfig{}
	config.Info.Flags = unix.LO_FLAGS_AUTOCLEAR
	if readOnly {
		flags = os.O_RDONLY
		config.Info.Flags |= unix.LO_FLAGS_READ_ONLY
	}
	backing, err := os.OpenFile(file, flags, 0)
	if err != nil {
		return err
	}
	defer backing.Close()
	config.Fd = uint32(backing.Fd())
	copy(config.Info.File_name[:len(config.Info.File_name)-1], "backstay-rig "+place.Source)
	device := shared(backing, readOnly, others)
	if device == nil {
		if device, err = configure(&config); err != nil {
			return err
		}
	}
	defer device.Close() // the holder has it open by then
	self, err := os.Executable()
	if err != nil {
		return err
	}
	keeper := exec.Command(self, holder, place.ID)
	keeper.ExtraFiles = []*os.File{device}
	keeper.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := keeper.Start(); err != nil {
		return err
	}
	go keeper.Wait() //nolint:errcheck // it only ends when it is killed
	place.Device, place.Holder = device.Name(), keeper.Process.Pid
	return nil
}

// shared returns a device of one of the places, open, if the file is still behind it.
func shared(backing *os.File, readOnly bool, others []*record) *os.File {
	var wanted unix.Stat_t
	if err := unix.Fstat(int(backing.Fd()), &wanted); err != nil {
		return nil
	}
	for _, other := range others {
		device, err := os.OpenFile(other.Device, os.O_RDWR, 0)
		if err != nil {
			continue
		}
		found, err := unix.IoctlLoopGetStatus64(int(device.Fd()))
		if err == nil && found.Inode == wanted.Ino && found.Device == wanted.Dev &&
			(found.Flags&unix.LO_FLAGS_READ_ONLY != 0) == readOnly {
			return device
		}
		device.Close()
	}
	return nil
}

// configure finds a device; another process may take the one that was free a moment ago.
func configure(config *unix.LoopConfig) (*os.File, error) {
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer control.Close()
	for range 100 {
		number, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return nil, err
		}
		device, err := os.OpenFile(fmt.Sprintf("/dev/loop%d", number), os.O_RDWR, 0)
		if err != nil {
			return nil, err
		}
		err = unix.IoctlLoopConfigure(int(device.Fd()), config)
		if err == nil {
			return device, nil
		}
		device.Close()
		if !errors.Is(err, unix.EBUSY) {
			return nil, err
		}
	}
	return nil, errors.New("no loop device is to be had")
}

// detach ends the holder; the device goes when no pod has it open any more.
func detach(place *record) error {
	if place.Holder == 0 {
		return nil
	}
	if err := flush(place.Device); err != nil { // whoever copies it next does not see the device
		return err
	}
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", place.Holder))
	if err != nil || !strings.HasSuffix(string(line), holder+"\x00"+place.ID+"\x00") {
		return nil // it is gone, and the pid may be somebody else's
	}
	if err := syscall.Kill(place.Holder, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return nil
}

// flush writes what the kernel holds back for the device.
func flush(device string) error {
	if device == "" {
		return nil
	}
	opened, err := os.Open(device)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer opened.Close()
	return opened.Sync()
}

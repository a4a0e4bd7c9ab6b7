//go:build !linux

package privilege

import "errors"

// User is who the sensor becomes.
type User struct {
	Name     string
	UID, GID int
}

var errLinux = errors.New("live capture needs Linux")

// Lookup, Own, Drop and Lower need Linux.
func Lookup(string) (User, error) { return User{}, errLinux }

// Root is never true.
func Root() bool { return false }

// Own needs Linux.
func Own(string, User) error { return errLinux }

// Drop needs Linux.
func Drop(User) error { return errLinux }

// Raise does nothing.
func Raise() {}

// Lower needs Linux.
func Lower() error { return errLinux }

// CanCapture is never true.
func CanCapture() bool { return false }

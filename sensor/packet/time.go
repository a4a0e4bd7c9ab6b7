package packet

import "time"

// Time is packet time in nanoseconds since the Unix epoch. Behind capture every clock is packet time: no stage of the
// data path reads the wall clock, so a replay says what the live sensor would have said.
type Time int64

// TimeOf converts from the standard library.
func TimeOf(t time.Time) Time { return Time(t.UnixNano()) }

// Std converts to the standard library, in UTC.
func (t Time) Std() time.Time { return time.Unix(0, int64(t)).UTC() }

// Add returns t moved by d.
func (t Time) Add(d time.Duration) Time { return t + Time(d) }

// Sub returns t - u.
func (t Time) Sub(u Time) time.Duration { return time.Duration(t - u) }

// AppendRFC3339 appends t as RFC 3339 in UTC with nine decimals, as every record of the sensor writes it.
func (t Time) AppendRFC3339(b []byte) []byte {
	return t.Std().AppendFormat(b, "2006-01-02T15:04:05.000000000Z07:00")
}

func (t Time) String() string { return string(t.AppendRFC3339(nil)) }

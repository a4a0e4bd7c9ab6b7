// Package deploy holds what ships beside the binary: the generated references, example configuration, and the recipe of
// the Kafka that the tests run against.
package deploy

import _ "embed"

// ConfigReference lists every configuration key; a test in sensor/config writes it from the fields' comments.
//
//go:embed CONFIG.md
var ConfigReference string

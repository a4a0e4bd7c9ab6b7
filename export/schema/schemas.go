package schema

import (
	"embed"
	"io/fs"
)

//go:embed json/*.schema.json
var documents embed.FS

// Schemas returns the JSON Schemas (draft 2020-12) of the records: finding, incident, signal, flow, folded, dns and health,
// each with .schema.json behind it. Under neuromast they allow nothing that they don't name; beside it stand fields of
// ECS, which may grow.
func Schemas() fs.FS {
	sub, err := fs.Sub(documents, "json")
	if err != nil {
		panic(err) // the folder is compiled in
	}
	return sub
}

// Package schema writes records as JSON in the Elastic Common Schema: flows, DNS transactions and findings. Golden files
// and the JSON Schemas in json/ are the contract.
//
// Writers append to the caller's buffer. Keys stand in a fixed order, numbers and times in one form, so that equal records
// are equal bytes. Flow and DNS records are written without reflection or maps, and flows without allocation, since a busy
// sensor writes them by the hundred thousand. What ECS names is written under its ECS name; everything else stands under neuromast.
// Encoders never compute: what they write was decided before.
package schema

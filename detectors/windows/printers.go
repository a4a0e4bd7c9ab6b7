package windows

import (
	"strings"

	"neuromast/flows"
	"neuromast/flows/lru"
)

// maxPrintClients bounds the pairs of print client and server; 120 bytes each.
const maxPrintClients = 8192

// PrintClients knows who opened a printer of a server by its name, \\server\printer. Tools that misuse the spooler open
// the server itself, \\server, which needs no printer.
type PrintClients struct{ table *lru.Table[pair, struct{}] }

// NewPrintClients returns an empty memory.
func NewPrintClients() *PrintClients {
	return &PrintClients{lru.New[pair, struct{}](maxPrintClients, nil)}
}

// The operations of MS-RPRN that open a printer.
const (
	opOpenPrinter   = 1
	opOpenPrinterEx = 69
)

// Learn takes a call.
func (c *PrintClients) Learn(r *flows.RPC, b *flows.Batch) {
	if r.Interface != Spoolss || r.Opnum != opOpenPrinter && r.Opnum != opOpenPrinterEx || r.Encrypted || r.Outcome != flows.Succeeded ||
		r.HasReturn && r.Return != 0 {
		return
	}
	name, remote := strings.CutPrefix(ReadPrinter(b.Bytes(r.Stub)), `\\`)
	if _, printer, ok := strings.Cut(name, `\`); remote && ok && printer != "" && !strings.HasPrefix(printer, ",") { // not \\server\,XcvMonitor
		c.table.Use(pairOf(&r.Conn))
	}
}

// Has says that the connection's client opened a printer of its server.
func (c *PrintClients) Has(conn *flows.Conn) bool { return c.table.Get(pairOf(conn)) != nil }

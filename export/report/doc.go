// Package report tells people what was found: a table for the terminal that fits one screen, a self-contained HTML page,
// and the summary.json that tools read.
//
// The table is the analyst's minute: who did what to whom, how sure the sensor is, why, and what to do next, most severe
// first. It says less about much rather than everything about little; the files beside it hold all. Where nothing was
// found it says what was looked at and what could not be seen. Names in packets are foreign: nothing that steers a
// terminal or a browser gets through.
package report

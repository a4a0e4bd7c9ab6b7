// Package enrich says what an address means to the people of a site: internal or external, a named asset, the name under
// which a client looked it up.
//
// Site is made once from the configuration and only read afterwards, so that any goroutine may ask it. Fit counts
// traffic that contradicts the configured ranges, because every direction that the sensor reports rests on them. Names
// is passive DNS for display: it may forget anything at any time, and nothing is decided by it.
package enrich

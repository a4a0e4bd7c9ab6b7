package main

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"neuromast/detectors"
	"neuromast/detectors/catalog"
	"neuromast/flows/enrich"
	"neuromast/sensor/config"
)

// reload reads the configuration again and takes it over whole or not at all.
func (l *live) reload(ctx context.Context) {
	changed, err := l.tryReload(ctx)
	switch {
	case err != nil:
		l.logger.Error("configuration not taken over; the old one goes on", "error", err)
		l.say("reload", "refused: "+err.Error())
	case len(changed) == 0:
		l.logger.Info("configuration read again: nothing changed")
		l.say("reload", "nothing changed")
	default:
		l.logger.Info("configuration taken over", "changed", strings.Join(changed, ", "))
		l.say("reload", "taken over: "+strings.Join(changed, ", "))
	}
}

// tryReload validates all before it changes anything.
func (l *live) tryReload(ctx context.Context) (changed []string, err error) {
	next, err := loadRun(l.options)
	if err != nil {
		return nil, err
	}
	if keys := needRestart(&l.cfg, &next); len(keys) > 0 {
		return nil, fmt.Errorf("restart needed for %s", strings.Join(keys, ", "))
	}
	site, err := enrich.NewSite(next.Networks, next.Assets)
	if err != nil {
		return nil, err
	}
	a := l.session.analysis
	dets, anew, err := catalog.Change(a.dets, l.cfg.Detectors, next.Detectors, l.options.only, l.options.disable)
	if err != nil {
		return nil, err
	}
	if !reflect.DeepEqual(l.cfg.Networks, next.Networks) || !reflect.DeepEqual(l.cfg.Assets, next.Assets) {
		changed = append(changed, "networks, assets")
		l.session.site.Replace(site)
	}
	if !reflect.DeepEqual(l.cfg.Detectors, next.Detectors) {
		if err := a.change(ctx, func() { a.replace(dets) }); err != nil {
			return nil, err
		}
		changed = append(changed, "detectors ("+strings.Join(anew, ", ")+" begin anew)")
	}
	if !reflect.DeepEqual(exportOf(&l.cfg), exportOf(&next)) {
		if err := l.reconnect(ctx, &next); err != nil {
			return nil, err
		}
		changed = append(changed, "export")
	}
	l.cfg = next
	return changed, nil
}

// needRestart lists the sections that can't change while the sensor runs: they need new rings, sockets or memory.
func needRestart(now, next *config.Config) (keys []string) {
	flows := next.Flows
	flows.Table.MaxFlows = now.Flows.Table.MaxFlows // it follows from memory
	for _, s := range []struct {
		key       string
		now, next any
	}{
		{"capture", now.Capture, next.Capture}, {"packets", now.Packets, next.Packets}, {"flows", now.Flows, flows},
		{"incidents", now.Incidents, next.Incidents}, {"memory", now.Memory, next.Memory}, {"sensor", now.Sensor, next.Sensor}, {"telemetry", now.Telemetry, next.Telemetry},
		{"privileges", now.Privileges, next.Privileges}, {"export.spool", now.Export.Spool, next.Export.Spool},
	} {
		if !reflect.DeepEqual(s.now, s.next) {
			keys = append(keys, s.key)
		}
	}
	return keys
}

// exportOf is what of export may change: kafka's values that are compared.
func exportOf(c *config.Config) any {
	k := c.Export.Kafka
	return []any{k.Brokers, k.TopicPrefix, k.Signals, k.TLS, k.SASL, k.BatchBytes, k.Timeout, k.RetryEvery}
}

// reconnect ends the way to Kafka and opens the new one. What the old one has not delivered lies in the spool, from which
// the new one goes on.
func (l *live) reconnect(ctx context.Context, next *config.Config) error {
	s := l.session
	var err error
	open := func() {
		if old := s.kafka.Load(); old != nil {
			closing, cancel := context.WithTimeout(ctx, closeTimeout)
			defer cancel()
			if err := old.close(closing); err != nil {
				l.logger.Warn("the old way to Kafka", "error", err)
			}
			s.kafka.Store(nil)
		}
		if len(next.Export.Kafka.Brokers) == 0 {
			return
		}
		var k *publisher
		if k, err = newPublisher(ctx, next.Export.Kafka, next.Export.Spool, next.Sensor.ID, true, l.logger); err == nil {
			s.kafka.Store(k)
		}
	}
	// Between two sets of facts nobody publishes.
	return errors.Join(s.analysis.change(ctx, open), err)
}

// replace makes dets the detectors; analysis' own goroutine calls it.
func (a *analysis) replace(dets []detectors.Detector) {
	a.dets, a.sections = dets, catalog.Sections(dets)
	a.engine.Replace(dets)
}

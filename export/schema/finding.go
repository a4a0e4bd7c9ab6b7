package schema

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"neuromast/detectors"
	"neuromast/flows"
	"neuromast/sensor/packet"
)

// maxAssets bounds neuromast.assets of a finding.
const maxAssets = 16

// severityNumber is event.severity: the lower bound of the band, as Elastic's detection engine writes it.
var severityNumber = [...]uint64{
	detectors.Informational: 0, detectors.Low: 21, detectors.Medium: 47, detectors.High: 73, detectors.Critical: 99,
}

// AppendFinding appends a finding as one JSON document.
func AppendFinding(b []byte, f *detectors.Finding, env *Env) []byte {
	risk := math.Floor(detectors.Risk(f.LLR)*10) / 10 // cut, not rounded, lest it show in a higher band than it is
	severity := detectors.SeverityOf(detectors.Risk(f.LLR))
	hasTarget := f.Target.Addr != packet.Addr{}

	b = append(b, `{"@timestamp":`...)
	b = appendTime(b, f.At)
	b = append(b, `,"ecs":{"version":"`+ECSVersion+`"},"message":`...)
	b = appendString(b, f.Message)
	b = append(b, `,"event":{"kind":"alert","category":["intrusion_detection","network"],"type":["info"],`+
		`"module":"neuromast","dataset":"`+FindingDataset+`","id":"`...)
	b = append(b, f.ID()...)
	b = append(b, `","start":`...)
	b = appendTime(b, f.Start)
	b = append(b, `,"end":`...)
	b = appendTime(b, f.End)
	b = append(b, `,"risk_score":`...)
	b = appendFloat(b, risk)
	b = appendUint(b, `,"severity":`, severityNumber[severity])
	b = append(b, `},"rule":{"id":`...)
	b = appendString(b, f.Rule.ID)
	b = append(b, `,"name":`...)
	b = appendString(b, f.Rule.Name)
	b = append(b, `,"category":`...)
	b = appendString(b, f.Rule.Stage.String())
	b = append(b, `},"source":{"ip":`...)
	b = appendAddr(b, f.Actor.Addr)
	b = appendName(b, f.ActorHost.Name)
	b = append(b, '}')
	b = appendHost(b, f, env)
	b = appendDestination(b, f, hasTarget)
	b = appendFindingNetwork(b, f, env, hasTarget)
	b = appendRelated(b, f, env, hasTarget)
	b = appendThreat(b, f.Techniques)
	b = append(b, env.observer...)

	b = appendUint(b, `,"neuromast":{"revision":`, uint64(max(f.Revision, 0)))
	b = append(b, `,"state":"`...)
	b = append(b, f.State.String()...)
	b = append(b, `","stage":`...)
	b = appendString(b, f.Rule.Stage.String())
	b = append(b, `,"severity":"`...)
	b = append(b, severity.String()...)
	b = append(b, `","llr":`...)
	b = appendFloat(b, f.LLR)
	b = append(b, `,"attack_version":"`+AttackVersion+`","evidence":[`...)
	for i := range f.Evidence {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendEvidence(b, &f.Evidence[i])
	}
	b = append(b, `],"counterfactual":`...)
	b = appendString(b, f.Counterfactual)
	b = append(b, `,"look_alikes":`...)
	b = appendList(b, f.LookAlikes)
	b = append(b, `,"wireshark_filter":`...)
	b = appendString(b, f.Filter)
	b = append(b, `,"capture_quality":`...)
	b = appendQuality(b, &f.Quality)
	b = append(b, `,"next_steps":`...)
	b = appendList(b, f.NextSteps)
	b = appendHosts(b, f)
	b = appendAssets(b, f, env, hasTarget)
	b = append(b, `,"flow_ids":[`...)
	for i, c := range cut(f.Conns, detectors.MaxFlows) {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '"')
		b = appendHex64(b, c.ID)
		b = append(b, '"')
	}
	b = append(b, `],"frames":[`...)
	for i, r := range cut(f.Refs, detectors.MaxRefs) {
		if i > 0 {
			b = append(b, ',')
		}
		b = env.appendRef(b, r)
	}
	return append(b, `]}}`...)
}

func cut[T any](s []T, n int) []T { return s[:min(len(s), n)] }

// appendDestination appends whom the actor reaches. The port is named only where every connection agrees on it.
func appendDestination(b []byte, f *detectors.Finding, hasTarget bool) []byte {
	if !hasTarget && f.Domain == "" {
		return b
	}
	b = append(b, `,"destination":{`...)
	comma := ""
	if hasTarget {
		b = append(b, `"ip":`...)
		b = appendAddr(b, f.Target.Addr)
		comma = `,`
		if port, ok := commonPort(f); ok {
			b = appendUint(b, `,"port":`, uint64(port))
		}
	}
	if f.Domain != "" {
		b = append(b, comma...)
		b = append(b, `"domain":`...)
		b = appendString(b, f.Domain)
	} else {
		b = appendName(b, f.TargetHost.Name)
	}
	return append(b, '}')
}

// appendName appends the name of a source or destination that has one.
func appendName(b []byte, name string) []byte {
	if name == "" {
		return b
	}
	return appendString(append(b, `,"domain":`...), name)
}

// appendHost appends who acts: ECS' host is what an event is about. Its name is its own, else its asset's.
func appendHost(b []byte, f *detectors.Finding, env *Env) []byte {
	h := &f.ActorHost
	if h.ID == "" {
		return b
	}
	b = append(b, `,"host":{"id":`...)
	b = appendString(b, h.ID)
	name := h.Name
	if env.site != nil && name == "" {
		if asset, ok := env.site.Asset(f.Actor.Addr); ok {
			name = asset.Name
		}
	}
	if name != "" {
		b = append(b, `,"name":`...)
		b = appendString(b, name)
	}
	if h.MAC != (packet.MAC{}) {
		b = append(b, `,"mac":["`...)
		b = h.MAC.AppendTo(b)
		b = append(b, `"]`...)
	}
	return append(b, '}')
}

// appendHosts appends how actor and target are known.
func appendHosts(b []byte, f *detectors.Finding) []byte {
	key := `,"hosts":[{"ip":`
	for i, h := range [...]*detectors.Known{&f.ActorHost, &f.TargetHost} {
		if h.ID == "" {
			continue
		}
		b = append(b, key...)
		b = appendAddr(b, [...]packet.Addr{f.Actor.Addr, f.Target.Addr}[i])
		b = append(b, `,"id":`...)
		b = appendString(b, h.ID)
		if h.Name != "" {
			b = append(b, `,"name":`...)
			b = appendString(b, h.Name)
		}
		b = append(b, `,"known_by":`...)
		b = appendString(b, h.By.String())
		if h.Since != 0 {
			b = append(b, `,"since":`...)
			b = appendTime(b, h.Since)
		}
		b = append(b, '}')
		key = `,{"ip":`
	}
	if key[1] == '{' {
		b = append(b, ']')
	}
	return b
}

// commonPort returns the target's port where all of the finding's connections go to it.
func commonPort(f *detectors.Finding) (port uint16, ok bool) {
	for i, c := range f.Conns {
		if !hasPorts(c.Proto) || c.Resp != f.Target.Addr || i > 0 && c.RespPort != port {
			return 0, false
		}
		port, ok = c.RespPort, true
	}
	return port, ok
}

func appendFindingNetwork(b []byte, f *detectors.Finding, env *Env, hasTarget bool) []byte {
	if hasTarget {
		b = env.appendNetwork(b, f.Actor.Addr, f.Target.Addr)
	} else if f.Actor.Addr.Is4() {
		b = append(b, `,"network":{"type":"ipv4"`...)
	} else {
		b = append(b, `,"network":{"type":"ipv6"`...)
	}
	conns := cut(f.Conns, detectors.MaxFlows)
	if len(conns) > 0 && !slices.ContainsFunc(conns, func(c flows.Conn) bool { return c.Proto != conns[0].Proto }) {
		b = appendTransport(b, conns[0].Proto)
	}
	b = append(b, `,"community_id":[`...)
	first := len(b)
	for _, c := range conns {
		at := len(b)
		if at > first {
			b = append(b, ',')
		}
		b = append(b, '"')
		b = c.AppendCommunityID(b, 0)
		b = append(b, '"')
		id := b[len(b)-len(`"1:wCb3OG7yAFWelaUydu0D+125CLM="`):]
		if strings.Contains(string(b[first:at]), string(id)) { // two flows of one 5-tuple
			b = b[:at]
		}
	}
	b = append(b, ']')
	b = env.appendSegment(b, f.Actor.Segment)
	return append(b, '}')
}

// appendRelated appends every address, host name and user of the finding, each once, in the finding's order.
func appendRelated(b []byte, f *detectors.Finding, env *Env, hasTarget bool) []byte {
	seen := make(map[packet.Addr]bool, 2+len(f.Related))
	b = append(b, `,"related":{"ip":[`...)
	add := func(a packet.Addr) {
		if seen[a] || a == (packet.Addr{}) {
			return
		}
		if len(seen) > 0 {
			b = append(b, ',')
		}
		seen[a] = true
		b = appendAddr(b, a)
	}
	add(f.Actor.Addr)
	if hasTarget {
		add(f.Target.Addr)
	}
	for _, a := range f.Related {
		add(a)
	}
	b = append(b, ']')
	var hosts []string
	if f.Domain != "" {
		hosts = append(hosts, f.Domain)
	}
	for _, name := range []string{f.ActorHost.Name, f.TargetHost.Name} {
		if name != "" && !slices.Contains(hosts, name) {
			hosts = append(hosts, name)
		}
	}
	if env.site != nil {
		for _, a := range []packet.Addr{f.Actor.Addr, f.Target.Addr} {
			if asset, ok := env.site.Asset(a); ok && !slices.Contains(hosts, asset.Name) {
				hosts = append(hosts, asset.Name)
			}
		}
	}
	if len(hosts) > 0 {
		b = append(b, `,"hosts":`...)
		b = appendList(b, hosts)
	}
	if len(f.Users) > 0 {
		b = append(b, `,"user":`...)
		b = appendList(b, f.Users)
	}
	return append(b, '}')
}

// appendThreat appends the techniques: arrays of ids, names and references run in parallel.
func appendThreat(b []byte, list []detectors.Technique) []byte {
	if len(list) == 0 {
		return b
	}
	var tactic, technique, sub named
	for _, t := range cut(list, detectors.MaxTechniques) {
		tactic.add(t.Tactic, tactics[t.Tactic], "tactics/"+t.Tactic+"/")
		parent, child := splitTechnique(t.ID)
		if child == "" {
			technique.add(parent, t.Name, "techniques/"+parent+"/")
			continue
		}
		technique.add(parent, techniques[parent], "techniques/"+parent+"/")
		sub.add(child, t.Name, "techniques/"+strings.Replace(child, ".", "/", 1)+"/")
	}
	b = append(b, `,"threat":{"framework":"MITRE ATT&CK","tactic":{`...)
	b = append(tactic.appendTo(b), `},"technique":{`...)
	b = technique.appendTo(b)
	if len(sub.ids) > 0 {
		b = append(b, `,"subtechnique":{`...)
		b = append(sub.appendTo(b), '}')
	}
	return append(b, '}', '}')
}

// named is a list of ATT&CK things, each once.
type named struct{ ids, names, references []string }

func (n *named) add(id, name, path string) {
	if id == "" || slices.Contains(n.ids, id) {
		return
	}
	if name == "" {
		name = id // the arrays run in parallel
	}
	n.ids, n.names, n.references = append(n.ids, id), append(n.names, name), append(n.references, attackSite+path)
}

func (n *named) appendTo(b []byte) []byte {
	b = appendList(append(b, `"id":`...), n.ids)
	b = appendList(append(b, `,"name":`...), n.names)
	return appendList(append(b, `,"reference":`...), n.references)
}

func appendEvidence(b []byte, e *detectors.Evidence) []byte {
	b = append(b, `{"measure":`...)
	b = appendString(b, e.Measure)
	b = append(b, `,"value":`...)
	b = appendFloat(b, e.Value)
	b = append(b, `,"unit":`...)
	b = appendString(b, e.Unit)
	b = append(b, `,"baseline":`...)
	b = appendString(b, e.Baseline)
	b = append(b, `,"threshold":`...)
	b = appendString(b, e.Threshold)
	b = append(b, `,"nats":`...)
	b = appendFloat(b, e.Nats)
	return append(b, '}')
}

func appendQuality(b []byte, q *detectors.Quality) []byte {
	b = appendUint(b, `{"lost_bytes":`, q.LostBytes)
	b = append(b, `,"one_sided_share":`...)
	b = appendFloat(b, q.OneSidedShare)
	b = appendUint(b, `,"truncated_packets":`, q.Truncated)
	b = appendUint(b, `,"evicted_flows":`, q.Evicted)
	b = appendUint(b, `,"kernel_drops":`, q.KernelDrops)
	b = appendUint(b, `,"duplicates":`, q.Duplicates)
	if q.ShedBytes > 0 {
		b = appendUint(b, `,"shed_bytes":`, q.ShedBytes)
	}
	if q.Sampled > 0 {
		b = appendUint(b, `,"sampled_out_packets":`, q.Sampled)
	}
	b = append(b, `,"baseline_days":`...)
	b = appendFloat(b, q.BaselineDays)
	return append(b, '}')
}

// appendAssets appends what the configuration knows about the hosts of the finding.
func appendAssets(b []byte, f *detectors.Finding, env *Env, hasTarget bool) []byte {
	if env.site == nil {
		return b
	}
	hosts := append(make([]packet.Addr, 0, 2+len(f.Related)), f.Actor.Addr)
	if hasTarget {
		hosts = append(hosts, f.Target.Addr)
	}
	hosts = append(hosts, f.Related...)
	key, n := `,"assets":[{"ip":`, 0
	for i, a := range hosts {
		asset, ok := env.site.Asset(a)
		if !ok || slices.Contains(hosts[:i], a) {
			continue
		}
		b = append(b, key...)
		b = appendAddr(b, a)
		b = append(b, `,"name":`...)
		b = appendString(b, asset.Name)
		b = append(b, `,"role":`...)
		b = appendString(b, asset.Role)
		b = append(b, `,"critical":`...)
		b = strconv.AppendBool(b, asset.Critical)
		b = append(b, '}')
		key = `,{"ip":`
		if n++; n == maxAssets {
			break
		}
	}
	if n > 0 {
		b = append(b, ']')
	}
	return b
}

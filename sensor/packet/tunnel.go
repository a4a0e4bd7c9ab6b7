package packet

// tunnel notes a tunnel; the packet stays the outer one.
func (p *Packet) tunnel(l layer, r rest) {
	p.Anomalies.Add(TunnelNotDecoded)
	p.payload(r)
}

// mpls notes labels.
func (p *Packet) mpls(r rest) (layer, rest) { return layerTunnel, r }

// udpTunnel names the tunnel that a UDP payload is.
func (p *Packet) udpTunnel() layer { return layerEnd }

package scenario

import (
	"fmt"
	"net"

	"neuromast/flows"
	"neuromast/sensor/packet"
)

// seek reads ADDRESS seeks ADDRESS [from MAC]: an ARP request to everybody.
func (it *item) seek(say []string) error {
	if len(say) != 3 && (len(say) != 5 || say[3] != "from") {
		return fmt.Errorf("want ADDRESS seeks ADDRESS [from MAC]")
	}
	sender, err := addr(say[0])
	if err != nil {
		return err
	}
	target, err := addr(say[2])
	if err != nil {
		return err
	}
	mac := packet.MAC{2, 0, sender[12], sender[13], sender[14], sender[15]}
	if len(say) == 5 {
		hw, err := net.ParseMAC(say[4])
		if err != nil || copy(mac[:], hw) != len(hw) {
			return fmt.Errorf("%q is no hardware address", say[4])
		}
	}
	it.fact = func(out *flows.Out, it *item) {
		out.ARP(&flows.ARP{
			Meta: flows.Meta{Ref: flows.Ref{Frame: uint64(it.number) + 1}}, Sender: sender, Target: target, SenderMAC: mac, From: mac,
			To: packet.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, Count: 1,
		})
	}
	return nil
}

package kafka

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/segmentio/kafka-go"
)

// explain turns a client's error into what a person can mend. brokers is what was dialled, topic what was written, if any.
func explain(err error, c Config, topic string) error {
	brokers := strings.Join(c.Brokers, ", ")
	var dns *net.DNSError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &dns):
		return fmt.Errorf("the name %s of export.kafka.brokers is not known: %w", dns.Name, err)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("no broker answers at %s: is Kafka running there, and is export.kafka.brokers right? (%w)", brokers, err)
	case errors.Is(err, kafka.SASLAuthenticationFailed):
		return fmt.Errorf("%s refuses the credentials: check export.kafka.sasl (mechanism, username, password): %w", brokers, err)
	case errors.Is(err, kafka.UnsupportedSASLMechanism):
		return fmt.Errorf("%s does not know export.kafka.sasl.mechanism %q: %w", brokers, c.SASL.Mechanism, err)
	case errors.Is(err, kafka.TopicAuthorizationFailed):
		return fmt.Errorf("no right to write topic %s: grant WRITE and DESCRIBE to the user %q: %w", topic, c.SASL.Username, err)
	case errors.Is(err, kafka.ClusterAuthorizationFailed):
		return fmt.Errorf("no right to be an idempotent producer: grant IDEMPOTENT_WRITE on the cluster to the user %q: %w", c.SASL.Username, err)
	case errors.Is(err, kafka.UnknownTopicOrPartition):
		return fmt.Errorf("topic %s does not exist: create it, grant DESCRIBE on it if it does, or change export.kafka.topic_prefix: %w", topic, err)
	case errors.Is(err, kafka.MessageSizeTooLarge):
		return fmt.Errorf("topic %s takes no batch of this size: raise its max.message.bytes or lower export.kafka.batch_bytes: %w", topic, err)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		hint := "is this the right port, and does it want TLS (export.kafka.tls.enabled) or SASL?"
		if c.SASL.Mechanism != "" {
			hint = "most often wrong credentials in export.kafka.sasl, or a port that wants TLS (export.kafka.tls.enabled)"
		}
		return fmt.Errorf("%s closed the connection during the handshake: %s (%w)", brokers, hint, err)
	case strings.Contains(err.Error(), "x509:"), strings.Contains(err.Error(), "tls:"):
		return fmt.Errorf("TLS with %s failed: check export.kafka.tls (ca_file, server_name, or enabled on a port without TLS): %w", brokers, err)
	case errors.Is(err, context.DeadlineExceeded), isTimeout(err):
		return fmt.Errorf("%s did not answer in %v: check export.kafka.brokers and the addresses that the brokers advertise: %w", brokers, c.Timeout, err)
	}
	return err
}

func isTimeout(err error) bool {
	var n net.Error
	return errors.As(err, &n) && n.Timeout()
}

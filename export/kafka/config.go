package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"
)

// Config says where and how to publish.
type Config struct {
	Brokers     []string      `yaml:"brokers"`      // host:port of one or more brokers; empty: Kafka is off
	TopicPrefix string        `yaml:"topic_prefix"` // topics are PREFIX.findings, PREFIX.incidents and so on
	Signals     bool          `yaml:"signals"`      // publish signals to PREFIX.signals too, for a correlation of many sensors
	TLS         TLS           `yaml:"tls"`          // encryption
	SASL        SASL          `yaml:"sasl"`         // authentication
	BatchBytes  int           `yaml:"batch_bytes"`  // largest batch; below the broker's message.max.bytes
	Timeout     time.Duration `yaml:"timeout"`      // of one request to a broker
	RetryEvery  time.Duration `yaml:"retry_every"`  // wait before a failed batch is sent again; doubles up to 20 times that

	dial func(ctx context.Context, network, address string) (net.Conn, error) // tests put themselves between
}

// TLS configures encryption to the brokers.
type TLS struct {
	Enabled    bool   `yaml:"enabled"`     // connect with TLS
	CAFile     string `yaml:"ca_file"`     // PEM of the authority that signed the brokers' certificates; empty: the system's
	CertFile   string `yaml:"cert_file"`   // PEM of this client's certificate, for mutual TLS
	KeyFile    string `yaml:"key_file"`    // PEM of its key
	ServerName string `yaml:"server_name"` // name expected in the brokers' certificates; empty: the address
	Insecure   bool   `yaml:"insecure"`    // accept any certificate: for tests only
}

// SASL configures authentication to the brokers.
type SASL struct {
	Mechanism    string `yaml:"mechanism"`     // plain, scram-sha-256 or scram-sha-512; empty: none
	Username     string `yaml:"username"`      // user name
	PasswordFile string `yaml:"password_file"` // file that holds the password; or the environment's NEUROMAST_KAFKA_PASSWORD
}

// PasswordEnv is the environment variable that may hold the password instead of a file.
const PasswordEnv = "NEUROMAST_KAFKA_PASSWORD"

// Default returns the configuration that holds where nothing else is said.
func Default() Config {
	return Config{TopicPrefix: "neuromast", BatchBytes: 512 << 10, Timeout: 10 * time.Second, RetryEvery: 250 * time.Millisecond}
}

// Validate names every wrong value.
func (c Config) Validate() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for i, b := range c.Brokers {
		if _, _, err := net.SplitHostPort(b); err != nil {
			fail("brokers[%d]: %q is not host:port", i, b)
		}
	}
	if c.TopicPrefix == "" || strings.Trim(c.TopicPrefix, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != "" {
		fail("topic_prefix: %q may hold letters, digits, . _ and - only", c.TopicPrefix)
	}
	if c.BatchBytes < 16<<10 || c.BatchBytes > 8<<20 {
		fail("batch_bytes: %d is not between 16 KiB and 8 MiB", c.BatchBytes)
	}
	if c.Timeout < time.Second {
		fail("timeout: %v is below one second", c.Timeout)
	}
	if c.RetryEvery < 10*time.Millisecond || c.RetryEvery > time.Minute {
		fail("retry_every: %v is not between 10ms and 1m", c.RetryEvery)
	}
	switch c.SASL.Mechanism {
	case "":
	case "plain", "scram-sha-256", "scram-sha-512":
		if c.SASL.Username == "" {
			fail("sasl.username: is empty")
		}
	default:
		fail("sasl.mechanism: %q is none of plain, scram-sha-256, scram-sha-512", c.SASL.Mechanism)
	}
	if (c.TLS.CertFile == "") != (c.TLS.KeyFile == "") {
		fail("tls.cert_file and tls.key_file: give both or none")
	}
	return errors.Join(errs...)
}

// client makes kafka-go's client: one transport with the configured TLS and SASL.
func (c Config) client() (*kafka.Client, *kafka.Transport, error) {
	t := &kafka.Transport{ClientID: "neuromast", DialTimeout: c.Timeout, MetadataTTL: 5 * time.Second, Dial: c.dial}
	var err error
	if t.SASL, err = c.SASL.mechanism(); err != nil {
		return nil, nil, err
	}
	if t.TLS, err = c.TLS.config(); err != nil {
		return nil, nil, err
	}
	return &kafka.Client{Addr: kafka.TCP(c.Brokers...), Timeout: c.Timeout, Transport: t}, t, nil
}

func (s SASL) mechanism() (sasl.Mechanism, error) {
	if s.Mechanism == "" {
		return nil, nil
	}
	password := os.Getenv(PasswordEnv)
	if s.PasswordFile != "" {
		text, err := os.ReadFile(s.PasswordFile)
		if err != nil {
			return nil, fmt.Errorf("export.kafka.sasl.password_file: %w", err)
		}
		password = strings.TrimRight(string(text), "\r\n")
	}
	if password == "" {
		return nil, fmt.Errorf("export.kafka.sasl: no password: set password_file or the environment's %s", PasswordEnv)
	}
	switch s.Mechanism {
	case "plain":
		return plain.Mechanism{Username: s.Username, Password: password}, nil
	case "scram-sha-256":
		return scram.Mechanism(scram.SHA256, s.Username, password)
	}
	return scram.Mechanism(scram.SHA512, s.Username, password)
}

func (t TLS) config() (*tls.Config, error) {
	if !t.Enabled {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName, InsecureSkipVerify: t.Insecure}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("export.kafka.tls.ca_file: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("export.kafka.tls.ca_file: %s holds no certificate in PEM", t.CAFile)
		}
	}
	if t.CertFile != "" {
		cert, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("export.kafka.tls.cert_file, key_file: %w", err)
		}
		c.Certificates = []tls.Certificate{cert}
	}
	return c, nil
}

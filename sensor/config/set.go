package config

import (
	"errors"
	"fmt"
	"reflect"
	"sort"
	"strings"

	"github.com/goccy/go-yaml"
)

// EnvPrefix begins the name of every environment variable that overrides a key: NEUROMAST_EXPORT_KAFKA_BROKERS for
// export.kafka.brokers.
const EnvPrefix = "NEUROMAST_"

// Set applies one override, key=value: the key with dots as `neuromast config` lists it, the value in YAML. A list of
// plain words may be written with commas: export.kafka.brokers=10.0.0.1:9092,10.0.0.2:9092.
func (c *Config) Set(override string) error {
	key, value, ok := strings.Cut(override, "=")
	if !ok {
		return errors.New("want key=value")
	}
	field, err := c.find(key)
	if err != nil {
		return err
	}
	if field.Kind() == reflect.Slice && field.Type().Elem().Kind() == reflect.String && !strings.HasPrefix(value, "[") {
		list := []string{}
		for _, item := range strings.Split(value, ",") {
			if item = strings.TrimSpace(item); item != "" {
				list = append(list, item)
			}
		}
		field.Set(reflect.ValueOf(list).Convert(field.Type()))
		return nil
	}
	return decode(field, []byte(value))
}

// decode reads a leaf's value.
func decode(field reflect.Value, value []byte) error {
	if field.Kind() == reflect.Slice {
		field.SetZero() // a list replaces the default, it doesn't add to it
	}
	if err := yaml.UnmarshalWithOptions(value, field.Addr().Interface(), yaml.Strict()); err != nil {
		return fmt.Errorf("%q does not fit a %s: %s", strings.TrimSpace(string(value)), typeName(field.Type()), firstLine(yaml.FormatError(err, false, false)))
	}
	return nil
}

// applyFile applies a section of a file leaf by leaf, so that every error names its key and all come at once.
func (c *Config) applyFile(path string, doc yaml.MapSlice) (errs []error) {
	for _, item := range doc {
		key := strings.TrimPrefix(path+"."+fmt.Sprint(item.Key), ".")
		if section, ok := item.Value.(yaml.MapSlice); ok && c.isSection(key) {
			errs = append(errs, c.applyFile(key, section)...)
			continue
		}
		if item.Value == nil && c.isSection(key) {
			continue // a section without keys
		}
		field, err := c.find(key)
		if err == nil {
			var text []byte
			if text, err = yaml.Marshal(item.Value); err == nil {
				err = decode(field, text)
			}
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", key, err))
		}
	}
	return errs
}

// isSection says that keys begin with path and a dot.
func (c *Config) isSection(path string) (found bool) {
	walk(reflect.ValueOf(c).Elem(), "", func(key string, _ reflect.Value) { found = found || strings.HasPrefix(key, path+".") })
	return found
}

// Keys lists every key that Set knows, sorted.
func (c *Config) Keys() []string {
	var keys []string
	walk(reflect.ValueOf(c).Elem(), "", func(key string, _ reflect.Value) { keys = append(keys, key) })
	sort.Strings(keys)
	return keys
}

// applyEnviron applies the variables of environ ("NAME=value") that name a key.
func (c *Config) applyEnviron(environ []string) []error {
	byEnv := map[string]string{}
	for _, key := range c.Keys() {
		byEnv[EnvPrefix+strings.NewReplacer(".", "_", "-", "_").Replace(strings.ToUpper(key))] = key
	}
	var errs []error
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		key, ok := byEnv[name]
		if !ok {
			continue
		}
		if err := c.Set(key + "=" + value); err != nil {
			errs = append(errs, fmt.Errorf("environment %s: %w", name, err))
		}
	}
	return errs
}

func (c *Config) find(key string) (reflect.Value, error) {
	var found reflect.Value
	var near []string
	walk(reflect.ValueOf(c).Elem(), "", func(k string, v reflect.Value) {
		if k == key {
			found = v
		}
		if strings.HasPrefix(k, key+".") || strings.HasSuffix(k, "."+key[strings.LastIndexByte(key, '.')+1:]) {
			near = append(near, k)
		}
	})
	if !found.IsValid() {
		if len(near) > 0 {
			if len(near) > 6 {
				near = append(near[:6], "…")
			}
			return found, fmt.Errorf("no such key; near it: %s", strings.Join(near, ", "))
		}
		return found, errors.New("no such key; `neuromast config` lists them")
	}
	return found, nil
}

// walk calls f for every leaf of the tree with its dotted key.
func walk(v reflect.Value, path string, f func(string, reflect.Value)) {
	t := v.Type()
	for i := range t.NumField() {
		name, opts, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
		if name == "-" || !t.Field(i).IsExported() {
			continue
		}
		key := path
		if !strings.Contains(opts, "inline") {
			if name == "" {
				name = strings.ToLower(t.Field(i).Name)
			}
			if key != "" {
				key += "."
			}
			key += name
		}
		if fv := v.Field(i); fv.Kind() == reflect.Struct {
			walk(fv, key, f)
		} else {
			f(key, fv)
		}
	}
}

func typeName(t reflect.Type) string {
	switch {
	case t.String() == "time.Duration":
		return "duration such as 90s or 5m"
	case t.Kind() == reflect.Slice:
		return "list"
	}
	return t.Kind().String()
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	return s
}

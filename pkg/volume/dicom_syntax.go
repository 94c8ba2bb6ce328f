package volume

import "fmt"

// Transfer syntaxes that are read (PS3.6, A).
const (
	implicitLittle = "1.2.840.10008.1.2"
	explicitLittle = "1.2.840.10008.1.2.1"
	rleLossless    = "1.2.840.10008.1.2.5"
)

// refusedSyntaxes are those that are not read, with the command that converts a file: DCMTK's or GDCM's. Those that are
// opaque hide the data set itself.
var refusedSyntaxes = map[string]struct {
	name, command string
	opaque        bool
}{
	"1.2.840.10008.1.2.2":     {"Explicit VR Big Endian", "dcmconv +te IN OUT", true},
	"1.2.840.10008.1.2.1.99":  {"Deflated Explicit VR Little Endian", "dcmconv +te IN OUT", true},
	"1.2.840.10008.1.2.1.98":  {"Encapsulated Uncompressed Explicit VR Little Endian", "gdcmconv --raw IN OUT", false},
	"1.2.840.10008.1.2.4.50":  {"JPEG Baseline (Process 1)", "dcmdjpeg IN OUT", false},
	"1.2.840.10008.1.2.4.51":  {"JPEG Extended (Process 2 and 4)", "dcmdjpeg IN OUT", false},
	"1.2.840.10008.1.2.4.57":  {"JPEG Lossless, Non-Hierarchical (Process 14)", "dcmdjpeg IN OUT", false},
	"1.2.840.10008.1.2.4.70":  {"JPEG Lossless, Non-Hierarchical, First-Order Prediction (Process 14, Selection Value 1)", "dcmdjpeg IN OUT", false},
	"1.2.840.10008.1.2.4.80":  {"JPEG-LS Lossless", "dcmdjpls IN OUT", false},
	"1.2.840.10008.1.2.4.81":  {"JPEG-LS Lossy (Near-Lossless)", "dcmdjpls IN OUT", false},
	"1.2.840.10008.1.2.4.90":  {"JPEG 2000 (Lossless Only)", "gdcmconv --raw IN OUT", false},
	"1.2.840.10008.1.2.4.91":  {"JPEG 2000", "gdcmconv --raw IN OUT", false},
	"1.2.840.10008.1.2.4.92":  {"JPEG 2000 Part 2 Multi-component (Lossless Only)", "gdcmconv --raw IN OUT", false},
	"1.2.840.10008.1.2.4.93":  {"JPEG 2000 Part 2 Multi-component", "gdcmconv --raw IN OUT", false},
	"1.2.840.10008.1.2.4.94":  {"JPIP Referenced", "", false},
	"1.2.840.10008.1.2.4.95":  {"JPIP Referenced Deflate", "", true},
	"1.2.840.10008.1.2.4.110": {"JPEG XL Lossless", "", false},
	"1.2.840.10008.1.2.4.111": {"JPEG XL JPEG Recompression", "", false},
	"1.2.840.10008.1.2.4.112": {"JPEG XL", "", false},
	"1.2.840.10008.1.2.4.201": {"High-Throughput JPEG 2000 (Lossless Only)", "", false},
	"1.2.840.10008.1.2.4.202": {"High-Throughput JPEG 2000 with RPCL Options (Lossless Only)", "", false},
	"1.2.840.10008.1.2.4.203": {"High-Throughput JPEG 2000", "", false},
	"1.2.840.10008.1.2.8.1":   {"Deflated Image Frame Compression", "", false},
}

// refuseSyntax names a transfer syntax that is not read; nil for those that are.
func refuseSyntax(uid string) error {
	switch uid {
	case implicitLittle, explicitLittle, rleLossless:
		return nil
	case "":
		return missing(tagSyntaxUID)
	}
	s, ok := refusedSyntaxes[uid]
	if !ok {
		return fmt.Errorf("transfer syntax %s is not known; convert the file to Explicit VR Little Endian", uid)
	}
	if s.command == "" {
		return fmt.Errorf("transfer syntax %s (%s) is not read; convert the file to Explicit VR Little Endian", s.name, uid)
	}
	return fmt.Errorf("transfer syntax %s (%s) is not read; `%s` converts a file", s.name, uid, s.command)
}

func missing(tag uint32) error { return fmt.Errorf("%s is missing", named(tag)) }

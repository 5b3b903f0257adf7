output "stream_id" {
  description = "OCID of the stream of events."
  value       = oci_streaming_stream.events.id
}

// Package aws reads from and publishes to Amazon's services, or what speaks their protocols: objects of S3, secrets of
// Secrets Manager, and signatures by keys of KMS. It is the one package that uses the AWS SDK.
//
// Region, endpoints, profiles, web identity and container roles are found by the SDK's default chain alone (AWS_REGION,
// AWS_PROFILE, AWS_ENDPOINT_URL and so on); there is no setting of our own. It never judges what it reads, never polls,
// and never logs.
package aws

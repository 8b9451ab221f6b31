namespace Alicia.Proxy.Circuit;

/// <summary>The numbers by which an instance's circuit opens and closes. Their ranges are checked where the configuration is read.</summary>
/// <param name="FailureThreshold">Failures in a row that open a closed circuit; from 1 up.</param>
/// <param name="RecoveryTimeout">How long the first opening in a row lasts before time alone admits a trial; above zero.</param>
/// <param name="SuccessThreshold">Trials in a row that close a half-open circuit; from 1 up.</param>
internal readonly record struct CircuitSettings(int FailureThreshold, TimeSpan RecoveryTimeout, int SuccessThreshold);

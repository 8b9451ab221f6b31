using System.Reflection;
using System.Text.RegularExpressions;
using Alicia.Proxy.Telemetry;
using Microsoft.Extensions.Logging;

namespace Alicia.Proxy.UnitTests.Telemetry;

/// <summary>What every log message of the program keeps to, so that lines can be found again and hold no secrets.</summary>
public sealed class LogMessageTests
{
    private static readonly (MethodInfo Method, LoggerMessageAttribute Message)[] _messages =
        [.. from type in typeof(AccessLog).Assembly.GetTypes()
            from method in type.GetMethods(BindingFlags.Static | BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.DeclaredOnly)
            let message = method.GetCustomAttribute<LoggerMessageAttribute>()
            where message is not null
            select (method, message)];

    [Fact]
    public void Messages_are_there_to_be_looked_at() => _messages.Length.Should().BeGreaterThan(30);

    [Fact]
    public void An_event_is_known_by_its_category_and_its_number_or_name()
    {
        // Without a number, the generator makes one of the name, the same in every build.
        foreach (var category in _messages.GroupBy(m => m.Method.DeclaringType))
            category.Select(m => m.Message.EventId > 0 ? m.Message.EventId.ToString() : m.Message.EventName ?? m.Method.Name).Should().OnlyHaveUniqueItems($"{category.Key}");
    }

    [Fact]
    public void No_message_takes_what_may_be_secret()
    {
        var secret = new Regex("password|secret|token|credential|authorization|cookie|apikey|header|body|query", RegexOptions.IgnoreCase);
        foreach (var (method, message) in _messages)
        {
            method.GetParameters().Where(p => secret.IsMatch(p.Name!)).Should().BeEmpty($"{method.DeclaringType}.{method.Name}");
            secret.IsMatch(string.Concat(Regex.Matches(message.Message, @"\{[^}]*\}").Select(m => m.Value))).Should().BeFalse(message.Message);
        }
    }
}

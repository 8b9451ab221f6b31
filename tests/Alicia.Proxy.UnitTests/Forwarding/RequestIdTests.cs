using Alicia.Proxy.Forwarding;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Primitives;

namespace Alicia.Proxy.UnitTests.Forwarding;

public sealed class RequestIdTests
{
    private readonly RequestIds _ids = new(new Random(5));

    public static TheoryData<string> WellFormed => ["a", "A-Z.09_x", "..", new string('x', 128), "4f1c1f4e-1c9a-4f0e-9d0a-000000000000"];

    public static TheoryData<string> Malformed =>
        ["", " ", "a b", "a,b", "a\"b", "a\r\nb", "a/b", "a:b", "caf\u00e9", "<x>", "\u001b[0m", new string('x', 129)];

    [Theory]
    [MemberData(nameof(WellFormed))]
    public void A_well_formed_id_is_kept(string id) => Assigned(id).Should().Be(id);

    [Theory]
    [MemberData(nameof(Malformed))]
    public void A_malformed_id_is_replaced(string id) => Assigned(id).Should().MatchRegex("^[0-9a-f]{32}$");

    [Fact]
    public void An_id_that_came_twice_is_replaced() => Assigned(new(["a", "a"])).Should().MatchRegex("^[0-9a-f]{32}$");

    [Fact]
    public void A_request_without_one_gets_one_that_no_other_has() =>
        Enumerable.Range(0, 10_000).Select(_ => Assigned(StringValues.Empty)).Should().OnlyHaveUniqueItems().And.OnlyContain(id => RequestIds.IsWellFormed(id));

    [Fact]
    public void The_same_randomness_gives_the_same_ids() => new RequestIds(new Random(5)).Make().Should().Be(_ids.Make());

    private string Assigned(StringValues given)
    {
        var context = new DefaultHttpContext();
        if (given.Count > 0)
            context.Request.Headers[RequestIds.Field] = given;
        _ids.Assign(context);
        return context.TraceIdentifier;
    }
}

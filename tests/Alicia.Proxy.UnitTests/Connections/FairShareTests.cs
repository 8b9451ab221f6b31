using Alicia.Proxy.Connections;

namespace Alicia.Proxy.UnitTests.Connections;

public sealed class FairShareTests
{
    [Fact]
    public void Sixteen_pieces_in_one_go_are_a_share()
    {
        var share = default(FairShare);

        var usedUp = Enumerable.Range(1, 40).Where(_ => share.IsUsedUp(waited: false));

        usedUp.Should().Equal(16, 32);
    }

    [Fact]
    public void A_wait_begins_a_new_one()
    {
        var share = default(FairShare);

        var usedUp = Enumerable.Range(1, 40).Where(i => share.IsUsedUp(waited: i == 10));

        usedUp.Should().Equal(26);
    }
}
